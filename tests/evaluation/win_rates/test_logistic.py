"""Logistic regressions: conditions of an optimum, and where there is none."""

import numpy as np
import pytest

from qstar_pl.evaluation.win_rates.logistic import (
    PENALTIES,
    fit_cross_validated,
    fit_logistic,
    fit_penalized,
    sigmoid,
)

GENERATOR = np.random.default_rng(0)
FEATURES = np.stack((GENERATOR.normal(size=300), GENERATOR.normal(size=300), np.ones(300)), axis=1)
PREFERENCES = sigmoid(FEATURES @ [1.0, 0.0, -0.5] + GENERATOR.normal(0, 0.3, 300))
WEIGHTS = GENERATOR.uniform(0.1, 2.0, 300)


def slope(coefficients: np.ndarray) -> np.ndarray:
    """Of the weighted cross-entropy."""
    return FEATURES.T @ (WEIGHTS * (sigmoid(FEATURES @ coefficients) - PREFERENCES))


def test_the_likelihood_is_flat_at_its_top() -> None:
    coefficients = fit_logistic(FEATURES, PREFERENCES, WEIGHTS)
    assert coefficients is not None
    assert slope(coefficients) == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("strength", [0.02, 1.0, 100.0])
def test_the_penalty_balances_the_slope_and_sets_small_coefficients_to_zero(strength: float) -> None:
    coefficients = fit_penalized(FEATURES, PREFERENCES, WEIGHTS, strength)
    pulled = strength * slope(coefficients)
    for coefficient, pull in zip(coefficients, pulled, strict=True):
        if coefficient == 0:
            assert abs(pull) <= 1 + 1e-6
        else:
            assert pull == pytest.approx(-np.sign(coefficient), abs=2e-3)
    if strength == 0.02:
        assert coefficients[1] == 0


def test_cross_validation_chooses_one_of_the_strengths() -> None:
    chosen = fit_cross_validated(FEATURES, PREFERENCES, WEIGHTS)
    distances = [np.abs(fit_penalized(FEATURES, PREFERENCES, WEIGHTS, one) - chosen).max() for one in PENALTIES]
    assert min(distances) == 0
    assert int(np.argmin(distances)) >= 3  # with 300 rows of so clear a law no strong penalty predicts best


def test_what_is_separated_has_no_best_coefficients() -> None:
    features = np.array([[-2.0, 1], [-1, 1], [1, 1], [2, 1]])
    assert fit_logistic(features, np.array([0.0, 0, 1, 1]), np.ones(4)) is None
    assert fit_logistic(features, np.array([0.0, 1, 0, 1]), np.ones(4)) is not None
