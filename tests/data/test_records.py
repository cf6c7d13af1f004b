import datetime
import json

from qstar_pl.data.records import json_line, original_fields
from qstar_pl.types import Example, Turn


def test_columns_of_our_names_are_kept_under_others():
    row = {"messages": [1], "id": 7, "diagnostics": "theirs", "prompt": "x"}
    example = Example(1, (Turn("user", "x"),), metadata={"row": row, "source": "file:1"})
    assert original_fields(example) == {
        "original_messages": [1],
        "id": 7,
        "original_diagnostics": "theirs",
        "prompt": "x",
    }
    twice = {"tokens": 1, "original_tokens": 3, "original_original_tokens": 4}
    assert original_fields(Example(1, (), metadata={"row": twice})) == {
        "original_original_original_tokens": 1,
        "original_tokens": 3,
        "original_original_tokens": 4,
    }
    assert original_fields(Example(1, (), metadata={"source": "file:1"})) == {"source": "file:1"}


def test_lines_are_utf8_and_take_what_json_lacks():
    assert json_line({"a": "ä"}) == '{"a": "ä"}\n'.encode()
    assert json.loads(json_line({"a": "\ud800"})) == {"a": "\ud800"}
    assert json.loads(json_line({"a": datetime.date(2024, 1, 2)})) == {"a": "2024-01-02"}
    assert json_line({"a": float("nan"), "b": [1.5, float("inf")]}) == b'{"a": null, "b": [1.5, null]}\n'
    assert json_line({"a": "line\nbreak"}).count(b"\n") == 1
