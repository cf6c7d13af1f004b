"""How hard each instruction is to win on, from the annotations of several models."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.rows import Floats
from qstar_pl.evaluation.win_rates.logistic import sigmoid


def instruction_difficulties(preferences: ArrayLike, length_differences: ArrayLike) -> Floats:
    """Return γ_x of every prompt from logit P(m preferred on x) = θ_m + φ_m · tanh(difference in length) + γ_x.

    One logistic regression over all models, as in Dubois et al. 2024, section 3; the γ are drawn toward zero as if
    they were standard normal, so that a prompt on which every model wins has a finite one.

    Args:
        preferences: [models, prompts], in [0, 1]; NaN where there is no verdict.
        length_differences: [models, prompts], baseline's minus model's, in any unit.

    Returns:
        [prompts], in logits: the higher, the more often models win.

    Raises:
        UserError: if there are not two models.

    """
    from scipy.optimize import minimize

    observed = np.asarray(preferences, dtype=np.float64)
    longer = np.asarray(length_differences, dtype=np.float64)
    models, prompts = observed.shape
    if models < 2:
        raise UserError(f"difficulties must be told from two models or more, got {models}")
    known = ~np.isnan(observed)
    target = np.where(known, observed, 0.0)
    spread = longer.std(axis=1, ddof=1, keepdims=True)
    lengths = np.tanh(np.divide(longer, spread, out=np.zeros_like(longer), where=spread > 0))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        quality, slope, difficulty = np.split(parameters, [models, 2 * models])
        logits = quality[:, None] + slope[:, None] * lengths + difficulty
        value = (known * (np.logaddexp(0, logits) - target * logits)).sum()
        residual = known * (sigmoid(logits) - target)
        # The others are drawn in as weakly as keeps a model that always wins finite.
        weak = 1e-3 * parameters[: 2 * models]
        pull = np.concatenate((weak, difficulty))
        sums = (residual.sum(axis=1), (residual * lengths).sum(axis=1), residual.sum(axis=0))
        penalty = 0.5 * (difficulty @ difficulty + weak @ parameters[: 2 * models])
        return float(value + penalty), np.concatenate(sums) + pull

    found = minimize(loss, np.zeros(2 * models + prompts), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return np.asarray(found.x[2 * models :], dtype=np.float64)
