import pytest

from qstar_pl.data import single_turn
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.data.text.keys import prompt_key


def test_texts_stay_as_they_are():
    example = single_turn(" q\n", "  a", " b ", {"x": 1})
    assert (example.turns[0].role, example.turns[0].content) == ("user", " q\n")
    assert (example.chosen, example.rejected, example.metadata) == ("  a", " b ", {"x": 1})
    assert example.key == prompt_key("\n\nHuman: q\n\nAssistant:")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((" ",), "prompt is empty"),
        (("q", ""), "answer is empty"),
        (("q", "a", "\n"), "answer"),
        (("q", "a", "a"), "eq"),
    ],
)
def test_what_is_left_out(texts, reason):
    with pytest.raises(RowRejected, match=reason):
        single_turn(*texts)
