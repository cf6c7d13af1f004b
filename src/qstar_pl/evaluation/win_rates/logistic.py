"""Logistic regressions of preferences: plain ones, by statsmodels, and with a penalty, by SciPy."""

from __future__ import annotations

import warnings

import numpy as np

from qstar_pl.evaluation.statistics.rows import Floats

PENALTIES = np.logspace(-4, 4, 10)
"""C, the weight of the data against the penalty, from which cross-validation chooses: scikit-learn's default grid."""


def fit_logistic(features: Floats, preferences: Floats, weights: Floats) -> Floats | None:
    """Return the coefficients [width] of greatest likelihood; None if there are none, as after perfect separation.

    Args:
        features: [rows, width].
        preferences: [rows], in [0, 1].
        weights: [rows].

    """
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of separation and of convergence, which are checked below
        try:
            model = sm.GLM(preferences, features, family=sm.families.Binomial(), freq_weights=weights)
            fitted = model.fit(tol=1e-12, maxiter=100)
        except (PerfectSeparationError, np.linalg.LinAlgError):
            return None
    coefficients = np.asarray(fitted.params, dtype=np.float64)
    score = features.T @ (weights * (preferences - sigmoid(features @ coefficients)))
    grows = np.abs(features @ coefficients).max() > _FAR  # where one end of the probabilities has been reached
    if grows or not np.isfinite(coefficients).all() or np.abs(score).max() > 1e-6 * max(1.0, weights.sum()):
        return None
    return coefficients


def fit_penalized(features: Floats, preferences: Floats, weights: Floats, strength: float) -> Floats:
    """Return the coefficients [width] that minimize C · Σ weight · cross-entropy + Σ|coefficient|.

    Args:
        features: [rows, width].
        preferences: [rows], in [0, 1].
        weights: [rows].
        strength: C.

    """
    from scipy.optimize import minimize

    width = features.shape[1]
    scale = 1 / (strength * weights.sum() + 1)

    def loss(parts: Floats) -> tuple[float, Floats]:
        logits = features @ (parts[:width] - parts[width:])
        value = strength * (weights * (np.logaddexp(0, logits) - preferences * logits)).sum() + parts.sum()
        slope = strength * features.T @ (weights * (sigmoid(logits) - preferences))
        return float(value * scale), np.concatenate((slope + 1, 1 - slope)) * scale

    # Positive and negative parts make the absolute value smooth.
    found = minimize(
        loss,
        np.zeros(2 * width),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * width),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000},
    )
    return np.asarray(found.x[:width] - found.x[width:], dtype=np.float64)


def fit_cross_validated(features: Floats, preferences: Floats, weights: Floats, folds: int = 5) -> Floats:
    """Return the penalized coefficients at the C of `PENALTIES` that predicts left-out rows best.

    Args:
        features: [rows, width].
        preferences: [rows], in [0, 1].
        weights: [rows].
        folds: parts into which rows are dealt in turn, from the last.

    """
    fold = np.arange(len(features))[::-1] % folds
    losses = np.zeros(len(PENALTIES))
    for part in range(folds):
        kept, left = fold != part, fold == part
        for number, strength in enumerate(PENALTIES):
            coefficients = fit_penalized(features[kept], preferences[kept], weights[kept], float(strength))
            logits = features[left] @ coefficients
            losses[number] += (weights[left] * (np.logaddexp(0, logits) - preferences[left] * logits)).mean()
    return fit_penalized(features, preferences, weights, float(PENALTIES[losses.argmin()]))


def sigmoid(logits: Floats) -> Floats:
    """Return 1/(1 + exp(−logits))."""
    from scipy.special import expit

    return np.asarray(expit(logits), dtype=np.float64)


_FAR = 15.0
