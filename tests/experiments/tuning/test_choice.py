from pathlib import Path

import pytest

from qstar_pl.experiments.matrix import Cell, Settings, Tune
from qstar_pl.experiments.results.outcome import Outcome
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.run_folder import RunFolder
from qstar_pl.experiments.tuning.choice import Choice, Try
from qstar_pl.experiments.tuning.sweep import Sweep
from qstar_pl.run_folders.metrics import Metrics

SCORE = "val/reward_gold"
CELL = Cell("one", {}, ())
SWEEP = Sweep(Tune("lr", (0.1, 0.5, 1, 2), (100,)), CELL, Settings({"lr": 0.1}), Path("out"), "1.0")


def ended(score: float | None, off_budget: str = "") -> Outcome:
    run = PlannedRun(CELL, 100, RunFolder(Path("out"), "one", 100), SWEEP.settings, "1.0")
    after = {} if score is None else {SCORE: score}
    status = "failed" if score is None else "finished"
    return Outcome(run, status, "" if score is not None else "it broke", Metrics((), ()), {}, {}, after, off_budget)


def choice(**scores: float | None) -> Choice:
    factors = {"tenth": 0.1, "half": 0.5, "own": 1.0, "twice": 2.0}
    tries = [Try(factors[name], SWEEP.value(factors[name]), [ended(one)], SCORE) for name, one in scores.items()]
    return Choice(SWEEP, tries)


@pytest.mark.parametrize(
    ("found", "factor", "remark"),
    [
        (choice(half=0.1, own=0.2, twice=0.3), 2, ""),
        (choice(tenth=0.3, own=0.1, twice=0.3), 2, "×0.1 has the same score"),
        (choice(half=0.3, own=0.1, twice=0.3), 0.5, "×2 has the same score"),
        (choice(half=0.3, own=0.3, twice=0.1), 1, "×0.5 has the same score"),
        (choice(half=-0.3, own=-0.2, twice=None), 1, "×2 is out (seed 100: it broke)"),
        (choice(half=float("nan"), own=0.1), 1, f"×0.5 is out (seed 100: {SCORE} is not finite)"),
        (choice(half=None, own=None), 1, "no value has a score, so it stays (seed 100: it broke)"),
    ],
    ids=["best", "nearer", "smaller", "own", "failed", "diverged", "none"],
)
def test_the_best_score_wins_and_what_else_decided_is_said(found: Choice, factor: float, remark: str) -> None:
    assert (found.best.factor, found.remark) == (factor, remark)


def test_a_run_off_its_budget_does_not_count() -> None:
    one = Try(1.0, 0.1, [ended(0.5), ended(0.9, "it ended at 3 samples")], SCORE)
    assert (one.score, one.why_out) == (None, "seed 100: it ended at 3 samples")
    assert Try(1.0, 0.1, [ended(0.5), ended(0.9)], SCORE).score == pytest.approx(0.7)


def test_values_are_round() -> None:
    assert [SWEEP.value(factor) for factor in (0.33, 1, 3)] == [0.033, 0.1, 0.3]
