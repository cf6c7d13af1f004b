"""Seeds and prompts together: against the definition, and over simulated experiments."""

import numpy as np
import pytest
from numpy.typing import NDArray

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.mean import mean_interval
from qstar_pl.evaluation.statistics.two_level import two_level_interval

Floats = NDArray[np.float64]
SEEDS, PROMPTS = 5, 40


def experiment(generator: np.random.Generator, of_seeds: float, of_prompts: float) -> Floats:
    """[seeds, prompts] around 0."""
    seeds, prompts = generator.normal(size=(SEEDS, 1)), generator.normal(size=PROMPTS)
    return of_seeds * seeds + of_prompts * prompts + generator.normal(size=(SEEDS, PROMPTS))


GROUPS, RUNS = np.tile(np.arange(PROMPTS), SEEDS), np.repeat(np.arange(SEEDS), PROMPTS)


def test_the_error_is_that_of_two_way_clusters() -> None:
    table = experiment(np.random.default_rng(0), 1.0, 1.0)
    center = table - table.mean()
    of_seeds = center.mean(axis=1).var(ddof=1) / SEEDS
    of_prompts = center.mean(axis=0).var(ddof=1) / PROMPTS
    of_answers = center.var(ddof=1) / center.size
    estimate = two_level_interval(table.ravel(), GROUPS, RUNS)
    assert estimate.value == pytest.approx(table.mean())
    assert estimate.error == pytest.approx(np.sqrt(of_seeds + of_prompts - of_answers))


@pytest.mark.parametrize(("of_seeds", "of_prompts"), [(0.3, 1.0), (0.02, 1.0), (0.5, 0.1)])
def test_intervals_cover_the_truth_for_new_seeds_and_new_prompts(of_seeds: float, of_prompts: float) -> None:
    generator = np.random.default_rng(1)
    covered, naive, experiments = 0, 0, 500
    for _ in range(experiments):
        values = experiment(generator, of_seeds, of_prompts).ravel()
        interval = two_level_interval(values, GROUPS, RUNS).interval
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
        without = mean_interval(values).interval  # every answer as if it were independent
        assert without is not None
        naive += without.low <= 0 <= without.high
    assert 0.92 <= covered / experiments <= 0.985
    assert naive / experiments < 0.9


def test_numbers_formed_from_totals() -> None:
    generator = np.random.default_rng(2)
    rows = generator.gamma(2.0, size=(SEEDS * PROMPTS, 2))

    def ratio(totals: Floats) -> float:
        return float(totals[0] / totals[1])

    estimate = two_level_interval(rows, GROUPS, RUNS, statistic=ratio)
    assert estimate.value == pytest.approx(rows[:, 0].sum() / rows[:, 1].sum())
    assert estimate.interval is not None
    assert estimate.interval.low < estimate.value < estimate.interval.high


def test_what_cannot_be_told_is_said() -> None:
    assert two_level_interval([1, 2], "ab", [0, 0]).reason == "a single seed does not tell how seeds differ"
    assert two_level_interval([1, 2], "aa", [0, 1]).reason == "a single prompt does not tell how prompts differ"
    assert two_level_interval([1, 1, 1, 1], "abab", [0, 0, 1, 1]).reason == "all seeds and prompts give the same value"
    assert two_level_interval([1.0], "a", [0], mask=[False]).value is None
    with pytest.raises(UserError, match="seeds must name the seed of each of 2 rows, got 1"):
        two_level_interval([1, 2], "ab", [0])
