"""Intervals of proportions against statsmodels, and at their ends."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from qstar_pl.evaluation.statistics.mean import mean_interval


def test_proportions_of_independent_rows_have_wilsons_interval() -> None:
    values = np.repeat([1.0, 0.0], [1300, 1700])
    estimate = mean_interval(values)
    assert estimate.interval is not None
    low, high = proportion_confint(1300, 3000, method="wilson")
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((low, high), abs=1e-4)
    few = mean_interval([1.0] * 7 + [0.0] * 5).interval
    assert few is not None
    low, high = proportion_confint(7, 12, method="wilson")
    assert (few.low, few.high) == pytest.approx((low, high), abs=0.02)  # its variance divides by 11


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_proportions_at_an_end_are_not_sure(end: float) -> None:
    estimate = mean_interval([end] * 60, np.repeat(np.arange(20), 3))
    assert estimate.interval is not None
    assert (estimate.value, estimate.error) == (end, 0.0)
    low, high = proportion_confint(20 * end, 20, method="wilson")  # three answers of a prompt tell no more than one
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((low, high))


def test_other_bounds_only_stretch_it() -> None:
    groups = np.repeat(np.arange(10), 4)
    values = (np.arange(40) % 7 < 3).astype(float)
    one, other = mean_interval(values, groups), mean_interval(3 * values - 1, groups, bounds=(-1, 2))
    assert one.interval is not None
    assert other.interval is not None
    assert (other.interval.low, other.interval.high) == pytest.approx(
        (3 * one.interval.low - 1, 3 * one.interval.high - 1)
    )
    assert other.error == pytest.approx(3 * one.error)
