"""Effect sizes against rliable and the definition."""

import numpy as np
import pytest
from rliable import metrics

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.effect_size import paired_cohen_d, paired_hedges_g, probability_of_improvement


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


def test_hedges_g_has_no_bias_where_cohens_d_has() -> None:
    """Of five pairs around half a standard deviation."""
    pairs = np.random.default_rng(3).normal(0.5, 1.0, size=(4000, 5))
    d = np.mean([paired_cohen_d(row) for row in pairs])
    g = np.mean([paired_hedges_g(row) for row in pairs])
    assert d > 0.6
    assert g == pytest.approx(0.5, abs=0.03)
    assert paired_hedges_g([0.1, 0.2]) is None
    assert paired_hedges_g([0.1, 0.1, 0.1]) is None
