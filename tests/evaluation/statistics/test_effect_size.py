"""Effect sizes against rliable and the definition."""

import numpy as np
import pytest
from rliable import metrics

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.effect_size import paired_cohen_d, probability_of_improvement


def test_the_probability_of_improvement_is_rliables() -> None:
    first, second = np.random.default_rng(0).integers(0, 6, size=(2, 12))
    expected = metrics.probability_of_improvement(first[:, None], second[:9, None])
    assert probability_of_improvement(first, second[:9]) == pytest.approx(expected)
    pairs = [(x > y) + 0.5 * (x == y) for x in first for y in second[:9]]
    assert probability_of_improvement(first, second[:9]) == pytest.approx(np.mean(pairs))
    with pytest.raises(UserError, match="samples must hold at least one number each, got 0 and 1"):
        probability_of_improvement([], [1])


def test_cohens_d() -> None:
    assert paired_cohen_d([1, 2, 3]) == 2.0
    assert paired_cohen_d([1]) is None
    assert paired_cohen_d([1, 1]) is None
