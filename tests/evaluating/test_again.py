"""Statistics of scores that are there already, and files that are no longer those of an evaluation."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_evaluation import SMALL, contents, run_small

from qstar_pl.errors import UserError
from qstar_pl.evaluating.again import report_again
from qstar_pl.evaluating.settings import EvaluationSettings

OWN: dict[str, Any] = {"answers": "rejected", "baseline": "chosen", "end_idx": 8}


@pytest.fixture
def ended(isolated: Path) -> Path:
    run_small(**OWN)
    return Path("out")


def statistics(folder: Path) -> list[bytes]:
    """What must not be lost; beside it lies what a call that is refused has begun."""
    return [(folder / name).read_bytes() for name in ("results.json", "results.md", "scores.jsonl")]


def again() -> Any:
    return report_again(EvaluationSettings(**{**SMALL, **OWN}), Path("out"), Path("out"))


def test_scores_that_are_whole_give_the_same_report(ended: Path) -> None:
    before = contents(ended)
    again()
    assert contents(ended) == before


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ({}, "none with 'stages'"),
        ([], "none with 'stages'"),
        ({"stages": {"scores": {"metrics": {}}, "verdicts": {}}}, "none with 'data'"),
        ({"stages": {"scores": {"metrics": {}}}}, "none with 'verdicts'"),
        ({"stages": "x"}, ""),
        ({"stages": {"scores": {"metrics": {}}, "verdicts": []}}, ""),
        ({"stages": {"scores": {"metrics": {}}, "verdicts": {}}, "data": {"evaluated": "8"}}, ""),
        (3, ""),
    ],
)
def test_results_that_are_none_of_an_evaluation_are_refused(results: Any, why: str, ended: Path) -> None:
    (ended / "results.json").write_text(json.dumps(results))
    before = contents(ended)
    with pytest.raises(UserError, match=f"^out/results.json must be the results of an evaluation, got {why}"):
        again()
    assert contents(ended) == before


def test_shortened_scores_are_refused_with_the_number_of_missing_lines(ended: Path) -> None:
    lines = (ended / "scores.jsonl").read_bytes().splitlines(keepends=True)
    for kept, said in ((3, "got 3: 5 lines missing"), (7, "got 7: 1 line missing"), (0, "got 0: 8 lines missing")):
        (ended / "scores.jsonl").write_bytes(b"".join(lines[:kept]))
        before = statistics(ended)
        with pytest.raises(UserError, match=f"^out/scores.jsonl must hold a line for each of 8 prompts, {said}$"):
            again()
        said = f"^out/scores.jsonl must hold a line for each of 8 prompts, {said}; give --overwrite to begin anew$"
        with pytest.raises(UserError, match=said):
            run_small(**OWN)
        assert statistics(ended) == before
    run_small(**OWN, launch={"overwrite": True})
    assert (ended / "scores.jsonl").read_bytes().splitlines(keepends=True) == lines


@pytest.mark.parametrize("read", ["answers", "dataset", "link"])
def test_to_begin_anew_deletes_nothing_that_is_read(read: str, ended: Path) -> None:
    rows = ended / "answers.jsonl"
    rows.write_text('{"prompt": "Hi", "answer": "Hello."}\n')
    Path("link.jsonl").symlink_to(rows)
    options = {"answers": {"answers": str(rows)}, "dataset": {"dataset": str(rows)}, "link": {"answers": "link.jsonl"}}
    before = contents(ended)
    with pytest.raises(UserError, match=r"^output must be none of the files that are read, got out/answers\.jsonl$"):
        run_small(**{**OWN, **options[read]}, launch={"overwrite": True})
    assert contents(ended) == before
    assert rows.exists()
