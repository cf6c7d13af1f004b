import numpy as np
import pytest

from qstar_pl.experiments.report.verdicts.shares import share_within

BOUNDS = (0.8, 1.2)


def test_independent_windows_all_count_and_windows_that_are_alike_do_not() -> None:
    generator = np.random.default_rng(0)
    apart = [np.exp(0.05 * generator.normal(size=100)) for _ in range(3)]
    share, interval = share_within(apart, BOUNDS)
    assert share == 1
    assert interval is not None
    assert interval.low > 0.97
    alike = [np.exp(shift + 0.001 * generator.normal(size=100)) for shift in (0.0, 0.05, -0.05)]
    share, unsure = share_within(alike, BOUNDS)
    assert share == 1
    assert unsure is not None
    assert unsure.low < 0.6


def test_shares_outside_and_single_runs() -> None:
    half = [np.array([1.0, 1.5] * 50), np.array([1.5, 1.0] * 50)]
    share, interval = share_within(half, BOUNDS)
    assert share == 0.5
    assert interval is not None
    assert interval.low == pytest.approx(0.43, abs=0.01)
    assert share_within([np.ones(9)], BOUNDS) == (1.0, None)
