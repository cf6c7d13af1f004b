"""What a check of a `.json` file's rows costs, and that it finds the same in every form of file."""

import json

import pytest

from qstar_pl.data.reading import Unreadable, json_rows
from qstar_pl.errors import UserError

FORMS = {"list": "[{}]", "wrapped": '{{"data": [{}]}}'}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_file_is_searched_once_and_not_for_each_row(tmp_path, monkeypatch, form):
    file = tmp_path / "x.json"
    file.write_text(form.format(", ".join(json.dumps({"a": "é", "b": [n]}) for n in range(20_000))))
    searched, search = [], json_rows._undecoded
    monkeypatch.setattr(json_rows, "_undecoded", lambda text: searched.append(len(text)) or search(text))
    assert sum(1 for _ in json_rows.json_rows(file)) == 20_000
    assert searched == [file.stat().st_size]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"a": "half \\ud83d"}', "half of a surrogate pair"),
        (b'{"a": "caf\xe9"}', "not UTF-8 text"),
        (b'{"a": ' + b"[" * 150 + b"]" * 150 + b"}", "nested more than 100 levels"),
    ],
    ids=["half", "bytes", "deep"],
)
def test_only_the_row_at_fault_is_left_out(tmp_path, form, bad, reason):
    file = tmp_path / "x.json"
    good = b'{"a": "\\ud83d\\ude00"}'
    file.write_bytes(form.replace("{{", "{").replace("}}", "}").encode().replace(b"{}", b", ".join([good, bad, good])))
    first, fault, last = (row for _, row in json_rows.json_rows(file))
    assert first == last == {"a": "\U0001f600"}
    assert isinstance(fault, Unreadable)
    assert reason in fault.reason


@pytest.mark.parametrize(
    ("behind", "line", "said"),
    [
        ('\n[{"a": 3}]', 2, '[{"a": 3}]'),
        (" garbage", 1, "garbage"),
        (",", 1, ","),
        ("\n\n]", 3, "]"),
        ("\n" + "x" * 50, 2, "x" * 40 + "…"),
        ("\x1b[2J", 1, r"\x1b[2J"),
    ],
    ids=["list", "word", "comma", "bracket", "long", "escape"],
)
def test_what_stands_behind_the_list_is_said_and_not_lost(tmp_path, behind, line, said):
    file = tmp_path / "x.json"
    file.write_text(f'[{{"a": 1}}, {{"a": 2}}]{behind}\n')
    with pytest.raises(UserError) as error:
        list(json_rows.json_rows(file))
    assert str(error.value) == f"{file}:{line}: must be one JSON list with nothing behind it, got '{said}' there"


def test_white_space_may_stand_behind_the_list(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('[{"a": 1}, {"a": oops}] \r\n\t\n')  # cut into items, for the second is at fault
    assert [row for _, row in json_rows.json_rows(file)] == [{"a": 1}, Unreadable("the row is not JSON")]


def test_a_bracket_too_many_in_a_row_does_not_end_the_file_early(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('[{"a": 1}},\n{"a": 2}]')
    with pytest.raises(UserError, match=r"x\.json:1: must be one JSON list with nothing behind it"):
        list(json_rows.json_rows(file))
