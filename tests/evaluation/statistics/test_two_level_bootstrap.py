"""The bootstrap over seeds × prompts: how often it covers the truth, which its plain percentiles do too seldom."""

import numpy as np
import pytest
from numpy.typing import NDArray

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.two_level_bootstrap import METHOD, two_level_bootstrap

PROMPTS = 40


def made(generator: np.random.Generator, seeds: int, of_seeds: float, skewed: bool) -> NDArray[np.float64]:
    """[seeds, prompts] of mean 0."""
    prompts = generator.exponential(size=PROMPTS) - 1 if skewed else generator.normal(size=PROMPTS)
    return of_seeds * generator.normal(size=(seeds, 1)) + prompts + generator.normal(size=(seeds, PROMPTS))


@pytest.mark.parametrize(
    ("seeds", "of_seeds", "skewed"), [(3, 0.7, False), (5, 0.7, False), (3, 0.1, True), (5, 0.3, True)]
)
def test_it_covers_the_truth_also_with_few_seeds(seeds: int, of_seeds: float, skewed: bool) -> None:
    generator, tables = np.random.default_rng(0), 300
    covered = 0
    for number in range(tables):
        interval = two_level_bootstrap(made(generator, seeds, of_seeds, skewed), resamples=199, seed=number).interval
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
    assert 0.91 <= covered / tables <= 0.99


def test_plain_percentiles_of_three_seeds_would_not() -> None:
    generator, tables = np.random.default_rng(0), 300
    covered = 0
    for _ in range(tables):
        table = made(generator, 3, 0.7, False)
        chosen = generator.integers(0, 3, size=(199, 3))
        means = table[chosen][:, :, generator.integers(0, PROMPTS, PROMPTS)].mean(axis=(1, 2))
        low, high = np.quantile(means, (0.025, 0.975))
        covered += low <= 0 <= high
    assert covered / tables < 0.8


def test_a_long_tail_is_left_on_its_side() -> None:
    table = np.tile(np.random.default_rng(1).exponential(size=PROMPTS) ** 2, (4, 1))
    table += 0.01 * np.array([[-1.0], [-1.0], [1.0], [1.0]])  # as much to either side: the tail is the prompts' alone
    found = two_level_bootstrap(table)
    assert found.value == pytest.approx(table.mean())
    assert found.interval is not None
    assert found.interval.high - table.mean() > 1.1 * (table.mean() - found.interval.low)
    assert found.interval.method == METHOD
    assert two_level_bootstrap(table) == found


def test_what_cannot_be_told() -> None:
    assert two_level_bootstrap(np.zeros((1, 5))).reason == "a single seed does not tell how seeds differ"
    assert two_level_bootstrap(np.ones((3, 5))).interval is None
    with pytest.raises(UserError, match=r"values must be \[seeds, prompts\], got 1 dimensions"):
        two_level_bootstrap(np.zeros(4))
