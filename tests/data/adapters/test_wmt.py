import pytest

from qstar_pl.data import WMT
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError

ROW = {"translation": {"en": " Good day. ", "ro": "Bună ziua."}}


def test_into_the_other_language():
    example = WMT().example(ROW, "f:1")
    assert example.turns[0].content == "Translate from English to Romanian.\n\nGood day."
    assert example.chosen == "Bună ziua."
    assert example.metadata == {
        "source_language": "en",
        "target_language": "ro",
        "reference": "Bună ziua.",
        "source": "f:1",
    }


def test_directions_and_instruction():
    back = WMT("ro", "en").example(ROW, "f:1")
    assert (back.turns[0].content, back.chosen) == ("Translate from Romanian to English.\n\nBună ziua.", "Good day.")
    three = {"translation": {"en": "a", "xx": "b", "de": "c"}}
    assert WMT("en", "xx", "{target}: ").example(three, "f:1").turns[0].content == "xx: a"
    assert WMT("de", "en").fields(three) == {"prompt": "translation.de", "chosen": "translation.en"}


@pytest.mark.parametrize(
    ("sides", "reason"), [({"en": " ", "ro": "x"}, "prompt is empty"), ({"en": "x", "ro": ""}, "answer is empty")]
)
def test_empty_sides_are_left_out(sides, reason):
    with pytest.raises(RowRejected, match=reason):
        WMT().example({"translation": sides}, "f:1")


@pytest.mark.parametrize(
    ("adapter", "row", "message"),
    [
        (WMT(), {"text": "x"}, "f:7: WMT needs the columns translation; the row has text"),
        (WMT(), {"translation": "x"}, "f:7: translation must be an object, got str"),
        (WMT(), {"translation": {"en": "x", "ro": 3}}, "f:7: ro must be text, got int"),
        (WMT("en", "de"), ROW, "f:7: WMT needs the columns en, de; the row has en, ro"),
        (WMT("cs"), ROW, "f:7: translation must hold cs and another language, got en, ro"),
        (WMT(), {"translation": {"en": "a"}}, "f:7: translation must hold en and another language, got en"),
        (WMT(), {"translation": {}}, "f:7: translation must hold en and another language, got none"),
        (WMT(), {"translation": {"en": "a", "ro": "b", "de": "c"}}, "target_language .* where f:7 has several: ro, de"),
    ],
)
def test_malformed_rows(adapter, row, message):
    with pytest.raises(UserError, match=message):
        adapter.example(row, "f:7")


def test_bad_options():
    with pytest.raises(UserError, match="target_language must differ from source_language, got en for both"):
        WMT("en", "en")
    with pytest.raises(UserError, match=r"instruction must hold no braces but {source} and {target}, got '{x}'"):
        WMT(instruction="{x}")


def test_the_real_file(real_data):
    rows = WMT().read(str(real_data / "wmt" / "wmt_en_ro_fixture_test.jsonl"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (20, 20, 0)
    assert (
        rows.examples[0]
        .turns[0]
        .content.startswith(
            "Translate from English to Romanian.\n\nUN Chief Says There Is No Military Solution in Syria"
        )
    )
    assert rows.examples[0].metadata["row"]["translation"]["ro"] == rows.examples[0].chosen
