"""What a win rate would be if the answers were as long as the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics import Estimate, Interval
from qstar_pl.evaluation.statistics.rows import Floats, rows_of
from qstar_pl.evaluation.win_rates.logistic import fit_cross_validated, fit_logistic, sigmoid


@dataclass(frozen=True)
class GamedBaseline:
    """Comparisons of answers that the baseline gave when asked to be verbose or terse: they differ in length alone.

    AlpacaEval's `df_gamed.csv` holds two of them for its baseline. They tell the effect of length apart from that of
    quality, and bring the difficulty of every instruction.
    """

    preferences: Floats
    """[gamed], in [0, 1]."""
    length_differences: Floats
    """[gamed], baseline's minus answer's, in standard deviations."""
    difficulties: Floats
    """[gamed], the instruction's."""
    by_prompt: Floats
    """[prompts]: the difficulty of the prompt of each number; NaN where it is unknown."""
    weight: float = 0.2 / 2
    """Of such a row beside one of the model; there are two such answers to each prompt."""


def length_controlled(
    preferences: Sequence[float | None] | NDArray[np.float64],
    lengths: ArrayLike,
    baseline_lengths: ArrayLike,
    *,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    difficulties: ArrayLike | None = None,
    gamed: GamedBaseline | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the win rate at equal lengths, after Dubois et al. 2024 (https://arxiv.org/abs/2404.04475).

    A logistic regression predicts preferences from tanh of the difference in length over its standard deviation, from
    the instruction's difficulty where it is known, and from a constant, which is the model's quality. The mean of its
    predictions at no difference in length is the length-controlled win rate. With `gamed` rows it is AlpacaEval's
    `length_controlled_v1`: these rows weigh in, without the constant, and an L1 penalty is chosen by cross-validation.
    Without, it is the regression of greatest likelihood. The standard error is clustered by prompt (sandwich), the
    interval formed on the logit scale.

    Args:
        preferences: [rows], in [0, 1]; None or NaN: no verdict.
        lengths: [rows], of the model's answers; characters in AlpacaEval.
        baseline_lengths: [rows], in the same unit.
        groups: [rows], the prompt of each row; None if each is a prompt of its own.
        difficulties: [rows], of the prompts, in logits.
        gamed: instead of `difficulties`.
        confidence: in (0, 1).

    Returns:
        An estimate; without a value, and with the reason, if lengths alone tell wins from losses.

    Raises:
        UserError: if there are not as many lengths as preferences.

    """
    within("(0, 1)", confidence=confidence)
    values = np.array([np.nan if one is None else one for one in preferences], dtype=np.float64)
    longer = np.asarray(baseline_lengths, dtype=np.float64) - np.asarray(lengths, dtype=np.float64)
    if longer.shape != values.shape:
        raise UserError(f"lengths must be given of each of {len(values)} rows, got shape {longer.shape}")
    known = ~np.isnan(values)
    rows = rows_of(np.where(known, values, 0.0), groups, known)
    count, prompts = len(rows.values), rows.groups
    if count == 0:
        return Estimate(None, None, None, 0, 0, "no comparison has a verdict")
    observed = values[known]
    if observed.min() == observed.max() and observed[0] in (0.0, 1.0):
        told = "won" if observed[0] else "lost"
        return Estimate(float(observed[0]), None, None, count, prompts, f"every comparison was {told}")
    features, at_equal_length = _features(longer, difficulties, gamed)
    design, target, weights = features[known], observed, np.ones(count)
    if gamed is not None:
        design, target, weights = _with_gamed(design, target, gamed)
        coefficients: Floats | None = fit_cross_validated(design, target, weights)
    else:
        coefficients = fit_logistic(design, target, weights)
    if coefficients is None:
        return Estimate(None, None, None, count, prompts, "lengths alone tell wins from losses: no rate at equal ones")
    predicted = sigmoid(at_equal_length @ coefficients)
    value = float(predicted.mean())
    if prompts == 1:
        return Estimate(value, None, None, count, 1, "a single prompt does not tell how prompts differ")
    chances = sigmoid(design @ coefficients)
    curvature = design.T @ (design * (weights * chances * (1 - chances))[:, None])
    slope = at_equal_length.T @ (predicted * (1 - predicted)) / len(predicted)
    pulled = np.linalg.pinv(curvature) @ slope
    influence = (design[-count:] @ pulled) * (observed - chances[-count:]) + (predicted[known] - value) / count
    by_prompt = np.bincount(rows.codes, weights=influence, minlength=prompts)
    error = float(np.sqrt((by_prompt**2).sum() * prompts / (prompts - 1)))
    if not 0 < value < 1 or error == 0:
        return Estimate(value, error, None, count, prompts, "all prompts agree")
    from scipy.special import expit, logit, stdtrit

    half = float(stdtrit(prompts - 1, (1 + confidence) / 2)) * error / (value * (1 - value))
    low, high = (float(expit(logit(value) + sign * half)) for sign in (-1, 1))
    return Estimate(value, error, Interval(low, high, confidence, "sandwich on the logit scale"), count, prompts)


def _features(longer: Floats, difficulties: ArrayLike | None, gamed: GamedBaseline | None) -> tuple[Floats, Floats]:
    """Return features of the rows [rows, width] and what they would be at equal lengths."""
    spread = longer.std(ddof=1) if len(longer) > 1 else 0.0
    columns = [np.tanh(longer / spread)] if spread > 0 else []
    if gamed is not None:
        columns = columns or [np.zeros(len(longer))]
        numbers = np.arange(len(longer))
        if len(longer) > len(gamed.by_prompt) or np.isnan(gamed.by_prompt[numbers]).any():
            raise UserError(
                "the gamed baseline must know the difficulty of every prompt, by its number,"
                f" got {int(np.isfinite(gamed.by_prompt).sum())} of them for {len(longer)} rows"
            )
        difficulties = gamed.by_prompt[numbers]
    if difficulties is not None:
        columns.append(np.asarray(difficulties, dtype=np.float64))
    features = np.stack((*columns, np.ones(len(longer))), axis=1)
    equal = features.copy()
    if spread > 0 or gamed is not None:
        equal[:, 0] = 0.0
    return features, equal


def _with_gamed(design: Floats, target: Floats, gamed: GamedBaseline) -> tuple[Floats, Floats, Floats]:
    """Return design, preferences and weights with the gamed rows before those of the model."""
    other = np.stack((np.tanh(gamed.length_differences), gamed.difficulties, np.zeros(len(gamed.preferences))), axis=1)
    weights = np.concatenate((np.full(len(other), gamed.weight), np.ones(len(target))))
    return np.concatenate((other, design)), np.concatenate((gamed.preferences, target)), weights
