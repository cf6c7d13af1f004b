"""Lines of scores.jsonl that statistics would stumble over."""

import json
from pathlib import Path
from typing import Any

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluating.stored_scores import read_scores

LINE: dict[str, Any] = {
    "row": 0,
    "key": "4385454725336659336",
    "answers": {"Length": {"length": {"per": "answer", "scores": [0.5, None, 3, [1.0, 2.0], float("nan")]}}},
    "verdicts": [{"preference": None, "reason": "no number"}, {"preference": 0.5, "lengths": [1, 2], "extra": {}}],
}


def scores(*entry: Any, per: str = "answer") -> dict[str, Any]:
    return {"Length": {"length": {"per": per, "scores": list(entry)}}}


def test_what_an_evaluation_writes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    bare = {"row": 1, "key": "-1", "answers": scores(1.0, per="prompt"), "baseline": {}}
    file.write_text(f"{json.dumps(LINE)}\n{json.dumps(bare)}\n")
    assert [line["row"] for line in read_scores(file, 2)] == [0, 1]
    with pytest.raises(UserError, match=r"scores.jsonl must hold a line for each of 1 prompt, got 2$"):
        read_scores(file, 1)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ([], "that is no JSON object"),
        ({**LINE, "key": "x"}, "without the key of a prompt"),
        ({**LINE, "key": str(2**64)}, "without the key of a prompt"),
        ({"answers": {}}, "without the key of a prompt"),
        ({**LINE, "answers": scores("x")}, "with other things than scores in answers"),
        ({**LINE, "answers": scores([1.0, "x"])}, "with other things than scores in answers"),
        ({**LINE, "answers": scores(10**400)}, "with other things than scores in answers"),
        ({**LINE, "answers": scores(1.0, per="word")}, "with other things than scores in answers"),
        ({**LINE, "baseline": []}, "with other things than scores in baseline"),
        ({**LINE, "baseline": {"Length": 1}}, "with other things than scores in baseline"),
        ({**LINE, "baseline": {"Length": {"length": {"per": "answer"}}}}, "with other things than scores in baseline"),
        ({**LINE, "verdicts": None}, "with other things than verdicts in verdicts"),
        ({**LINE, "verdicts": [{}]}, "with other things than verdicts in verdicts"),
        ({**LINE, "verdicts": [{"preference": "a"}]}, "with other things than verdicts in verdicts"),
        ({**LINE, "verdicts": [{"preference": 1.0, "lengths": [1]}]}, "with other things than verdicts in verdicts"),
    ],
)
def test_a_line_that_is_none_of_an_evaluation_is_named(line: Any, why: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(f"{json.dumps(LINE)}\n{json.dumps(line)}\n")
    with pytest.raises(UserError, match=f"scores.jsonl must be the scores of an evaluation, got line 2 {why}$"):
        read_scores(file, 2)
