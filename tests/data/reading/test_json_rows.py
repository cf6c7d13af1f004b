"""What a check of a `.json` file's rows costs, and that it finds the same in every form of file."""

import json

import pytest

from qstar_pl.data.reading import Unreadable, json_rows

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
