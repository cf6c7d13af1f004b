"""Means of clustered rows: against SciPy, at the edges, and over simulated experiments."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.mean import mean_interval

Floats = NDArray[np.float64]


def test_equal_groups_give_the_t_interval_of_their_means() -> None:
    values = np.random.default_rng(0).normal(size=(30, 4)) + np.random.default_rng(1).normal(size=(30, 1))
    ours = mean_interval(values.ravel(), np.repeat(np.arange(30), 4), confidence=0.9)
    expected = ttest_1samp(values.mean(axis=1), 0.0).confidence_interval(0.9)
    assert ours.interval is not None
    assert (ours.interval.low, ours.interval.high) == pytest.approx((expected.low, expected.high))
    assert ours.error == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(30))
    assert (ours.rows, ours.groups) == (120, 30)


def test_what_cannot_be_told_is_said() -> None:
    single = mean_interval([1.0, 0.0], ["a", "a"])
    assert (single.value, single.error, single.interval) == (0.5, None, None)
    assert single.reason == "a single prompt does not tell how prompts differ"
    alike = mean_interval([0.1 + 0.2, 0.3, 0.3])
    assert (alike.error, alike.interval, alike.reason) == (0.0, None, "all 3 prompts have the same value")
    nothing = mean_interval([np.nan], mask=[False])
    assert (nothing.value, nothing.rows, nothing.reason) == (None, 0, "no row has anything to measure")
    ties = mean_interval([0.5] * 10, bounds=(0, 1)).interval
    assert ties is not None
    assert ties.low < 0.3 < 0.7 < ties.high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, r"confidence must lie in \(0, 1\), got 1.0"),
        ({"bounds": (0, 1)}, r"values must lie in \[0, 1\], got 3.0"),
    ],
)
def test_mistakes(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mean_interval([1.0, 3.0], **options)


def binary(generator: np.random.Generator, groups: NDArray[np.intp], prompts: int) -> Floats:
    """Answers that are right with a chance of their prompt's own, 0.5 on average."""
    return (generator.random(len(groups)) < generator.beta(0.7, 0.7, prompts)[groups]).astype(np.float64)


def continuous(generator: np.random.Generator, groups: NDArray[np.intp], prompts: int) -> Floats:
    """Rewards around a mean of their prompt's own, 0.5 on average."""
    return 0.5 + generator.normal(size=prompts)[groups] + generator.normal(size=len(groups))


@pytest.mark.parametrize("answers", [binary, continuous])
@pytest.mark.parametrize(
    ("prompts", "sizes"),
    [(10, (4, 4)), (60, (4, 4)), (60, (1, 8))],
    ids=["10 prompts x 4", "60 prompts x 4", "60 prompts x 1 to 8"],
)
def test_intervals_cover_the_truth_where_the_naive_ones_do_not(
    answers: Callable[..., Floats], prompts: int, sizes: tuple[int, int]
) -> None:
    generator = np.random.default_rng(7)
    covered, naive, experiments = 0, 0, 2000
    for _ in range(experiments):
        groups = np.repeat(np.arange(prompts), generator.integers(sizes[0], sizes[1] + 1, prompts))
        values = answers(generator, groups, prompts)
        interval = mean_interval(values, groups).interval
        assert interval is not None
        covered += interval.low <= 0.5 <= interval.high
        without = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
        naive += abs(values.mean() - 0.5) <= without
    assert 0.93 <= covered / experiments <= 0.97
    assert naive / experiments < 0.90
