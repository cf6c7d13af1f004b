from pathlib import Path

import pytest

from qstar_pl.experiments.curve import band, curve, is_measured, smoothed
from qstar_pl.run_folders.metrics import Metrics, read_metrics


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    """Validation before the first step, and one whose row stands before the training's row of the same step."""
    file = tmp_path / "metrics.csv"
    file.write_text("step,a,samples/total,val/a\n0,,,5\n1,0.1,8,\n2,,,7\n2,0.2,16,\n3,,24,\n4,,,9\n4,0.3,\n")
    return read_metrics(file)


def test_against_steps_a_validation_stands_at_its_own(metrics: Metrics) -> None:
    assert curve(metrics, "a") == [(1, 0.1), (2, 0.2), (4, 0.3)]
    assert curve(metrics, "val/a") == [(0, 5), (2, 7), (4, 9)]


def test_against_a_budget_it_stands_at_what_its_step_had_cost(metrics: Metrics) -> None:
    assert curve(metrics, "a", "samples/total") == [(8, 0.1), (16, 0.2), (24, 0.3)]
    assert curve(metrics, "val/a", "samples/total") == [(0, 5), (16, 7), (24, 9)]


def test_a_validation_that_says_what_was_spent_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,a,samples/total,val/a\n0,,0,5\n2,0.2,16,\n3,,24,7\n4,0.3,32,\n")
    assert curve(read_metrics(file), "val/a", "samples/total") == [(0, 5), (24, 7)]


def test_what_is_not_logged_has_no_points(metrics: Metrics) -> None:
    assert curve(metrics, "b") == curve(metrics, "val/a", "tokens/total") == curve(Metrics((), ()), "a") == []


def test_smoothing_is_a_mean_of_the_last_values() -> None:
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, 6.0), (4.0, 1.0)]
    assert smoothed(points, 2) == [(1, 1), (2, 1.5), (3, 4), (4, 3.5)]
    assert smoothed(points, 1) == points


def test_band_between_runs_that_log_at_different_steps() -> None:
    found = band([[(0, 0), (4, 4)], [(1, 3), (3, 3), (9, 3)], []])
    assert [(x, mean) for x, mean, _ in found] == [(1, 2), (3, 3), (4, 3.5)]
    assert [deviation for _, _, deviation in found] == pytest.approx([2**0.5, 0, 0.5**0.5])
    assert band([[(1, 2)]]) == [(1, 2, 0)]
    assert band([[(1, 2)], [(3, 4)]]) == band([]) == []


def test_what_is_measured() -> None:
    assert [is_measured(key) for key in ("val/a", "test/a", "value/a", "reward/val/a")] == [True, True, False, False]
