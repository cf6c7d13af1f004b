"""The results folder, read as a report would."""

import json
import math
from pathlib import Path

import pytest
from pyarrow import parquet
from small_experiment import experiment, go, runs, write

from qstar_pl.experiments.matrix import Budget
from qstar_pl.experiments.matrix.experiment import Unit
from qstar_pl.experiments.results.outcome import outcome
from qstar_pl.experiments.results.summary import say_what_is_wrong


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment") / "out"
    planned = runs(folder)
    go(planned)
    write(planned)
    return folder


def test_results_say_what_was_asked_spent_and_found(output: Path) -> None:
    found = json.loads((output / "results.json").read_text())
    assert found["schema"] == 1
    assert (found["experiment"]["name"], found["budget"]) == ("small", {"unit": "samples", "amount": 48})
    assert found["report"] == {"baseline": "one", "comparisons": []}
    assert [(run["cell"], run["seed"], run["status"]) for run in found["runs"]] == [
        ("one", 0, "finished"),
        ("two", 0, "finished"),
        ("one", 1, "finished"),
        ("two", 1, "finished"),
    ]
    run = found["runs"][2]
    assert run["spent"] == {"generated": 180, "samples": 48, "steps": 6, "tokens": 360}
    assert (run["before"], run["after"]) == ({"val/reward_gold": 0.03}, {"val/reward_gold": 0.21})
    assert run["folder"] == "cells/one/seed_1"
    assert run["off_budget"] == ""


def test_curves_have_a_line_per_number_and_no_times(output: Path) -> None:
    rows = parquet.read_table(output / "curves.parquet").to_pylist()
    assert {row["key"] for row in rows} == {
        "loss/total",
        "val/reward_gold",
        "samples/total",
        "generated/total",
        "tokens/total",
    }
    scores = [row for row in rows if row["key"] == "val/reward_gold" and row["cell"] == "two" and row["seed"] == 0]
    assert [(row["step"], row["samples"], row["tokens"], row["value"]) for row in scores] == [
        (0, 0, 0, 0),
        (6, 48, 360, 0.18),
    ]
    times = parquet.read_table(output / "times.parquet").to_pylist()
    assert {row["key"] for row in times} == {"time/wall_s", "run/seconds"}


def test_answers_and_distributions_are_a_line_each(output: Path) -> None:
    rows = parquet.read_table(output / "answers.parquet").to_pylist()
    assert len(rows) == 4 * 2 * 2  # runs, validations, prompts
    assert rows[7] == {
        "cell": "two",
        "seed": 0,
        "step": 6,
        "prompt": 1,
        "key": None,  # a run that did not keep it
        "part": None,
        "prompt_text": "prompt 1",
        "completion": "answer 6",
        "tokens": 9,
        "reward_gold": 0.25,
        "reward_proxy": None,
    }
    bins = parquet.read_table(output / "distributions.parquet").to_pylist()
    one = [row for row in bins if (row["cell"], row["seed"], row["step"]) == ("one", 1, 6)]
    assert [(row["quantity"], row["low"], row["high"], row["count"]) for row in one] == [
        ("alpha", 0.0, 0.5, 6),
        ("alpha", 0.5, 1.0, 1),
        ("log_weights", -math.inf, -1.0, 0),
        ("log_weights", -1.0, 1.0, 8),
        ("log_weights", 1.0, math.inf, 6),
    ]


@pytest.mark.parametrize(
    ("budget", "said"), [(41, ""), (48, ""), (40, "48 samples, its budget is 40"), (49, "48 samples")]
)
def test_where_a_run_ended_is_held_against_its_budget(output: Path, budget: int, said: str) -> None:
    whole = experiment(budget)
    found = write(runs(output, whole), whole)
    assert {one.off_budget == "" for one in found} == {said == ""}
    assert said in found[0].off_budget
    write(runs(output))


@pytest.mark.parametrize(("unit", "amount"), [("samples", 48), ("generated", 170), ("tokens", 350)])
def test_a_budget_is_counted_in_its_own_unit(output: Path, unit: Unit, amount: int) -> None:
    """The last step goes from 40 samples, 150 generated tokens and 300 trained ones to 48, 180 and 360."""
    run = runs(output)[0]
    assert outcome(run, Budget(unit, amount)).off_budget == ""
    other = outcome(run, Budget(unit, 7 * amount)).off_budget
    assert other.endswith(f"{unit}, its budget is {7 * amount:,}")


def test_a_score_that_no_run_measures_is_said(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = write(runs(output))
    assert say_what_is_wrong(found, "val/reward_goold") == 4
    said = "evaluation.score must be measured, got val/reward_goold (measured: val/reward_gold)"
    assert capsys.readouterr().err.count(said) == 4
    assert say_what_is_wrong(found, "val/reward_gold") == 0


def test_without_a_run_there_are_empty_tables(tmp_path: Path) -> None:
    found = write(runs(tmp_path))
    assert {one.status for one in found} == {"unfinished"}
    for name in ("curves", "answers", "distributions"):
        assert parquet.read_table(tmp_path / f"{name}.parquet").num_rows == 0
