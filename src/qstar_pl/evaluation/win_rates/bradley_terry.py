"""Ratings of many methods from comparisons of any two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.interval import Interval
from qstar_pl.evaluation.statistics.rows import Floats, rows_of
from qstar_pl.evaluation.win_rates.logistic import fit_logistic, sigmoid

ELO = 400 / np.log(10)
"""Points per logit: 400 of them are odds of ten to one."""
CENTER = 1000.0


@dataclass(frozen=True)
class Rating:
    """How strong a method is."""

    name: str
    elo: float
    """Points; the mean over all methods is `CENTER`."""
    error: float
    """Standard error, in points."""
    interval: Interval
    """In points."""
    win_rate: float
    """Expected against one of the others at random, a draw counting half."""
    comparisons: int


@dataclass(frozen=True)
class Ratings:
    """Methods, strongest first, and what is expected of any two of them."""

    methods: tuple[Rating, ...]
    probabilities: Floats
    """[methods, methods]: that the row's method is preferred to the column's."""


def bradley_terry(
    first: Sequence[str],
    second: Sequence[str],
    preferences: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    prior: float = 0.0,
    confidence: float = 0.95,
) -> Ratings:
    """Fit P(i preferred to j) = σ(s_i − s_j) by maximum likelihood (Bradley & Terry 1952), a draw as half a win each.

    A logistic regression by statsmodels. The covariance is the sandwich, clustered by prompt, so that neither
    comparisons that share a prompt nor draws are taken for independent wins.

    Args:
        first: [comparisons], names.
        second: [comparisons], names.
        preferences: [comparisons], in [0, 1]: 1 the first is preferred. NaN: no verdict.
        groups: [comparisons], prompts; None if each comparison has one of its own.
        prior: draws that are added to every pair that was compared; some is needed where a method has won, or lost,
            all its comparisons.
        confidence: of the intervals.

    Raises:
        UserError: if there are not two methods, if a method is compared to itself, if comparisons do not connect all
            methods, or if some method is only ever preferred to others, so that no finite rating fits best.

    """
    within("(0, 1)", confidence=confidence)
    at_least(0, prior=prior)
    values = np.asarray(preferences, dtype=np.float64)
    known = ~np.isnan(values)
    names = sorted({*first, *second})
    number = {name: index for index, name in enumerate(names)}
    one, other = (np.array([number[name] for name in side], dtype=np.intp)[known] for side in (first, second))
    codes = rows_of(np.where(known, values, 0.0), groups, known).codes
    values = values[known]
    _check(names, one, other, values, prior)
    draws = np.unique(np.sort(np.stack((one, other), axis=1), axis=1), axis=0) if prior else np.zeros((0, 2), np.intp)
    if codes.max() == 0:
        raise UserError("comparisons must be of two prompts or more, which tell how sure ratings are, got 1")
    design = _design(np.concatenate((one, draws[:, 0])), np.concatenate((other, draws[:, 1])), len(names))
    target = np.concatenate((values, np.full(len(draws), 0.5)))
    weights = np.concatenate((np.ones(len(values)), np.full(len(draws), prior)))
    strengths = fit_logistic(design[:, 1:], target, weights)  # the first stands at zero
    if strengths is None:
        raise UserError("comparisons must allow finite ratings, got strengths too far apart; prior=0.5 allows them")
    strengths = np.concatenate((np.zeros(1), strengths))
    centered = strengths - strengths.mean()
    covariance = _covariance(design, target, weights, strengths, codes)
    errors = ELO * np.sqrt(np.diag(covariance).clip(min=0))
    from scipy.special import stdtrit

    half = float(stdtrit(max(1, codes.max()), (1 + confidence) / 2)) * errors
    chances = sigmoid(strengths[:, None] - strengths[None])
    expected = (chances.sum(axis=1) - 0.5) / (len(names) - 1)
    counts = np.bincount(one, minlength=len(names)) + np.bincount(other, minlength=len(names))
    order = np.argsort(-strengths, kind="stable")
    methods = tuple(
        Rating(
            names[index],
            elo := float(CENTER + ELO * centered[index]),
            float(errors[index]),
            Interval(elo - float(half[index]), elo + float(half[index]), confidence, "sandwich, clustered by prompt"),
            float(expected[index]),
            int(counts[index]),
        )
        for index in order.tolist()
    )
    return Ratings(methods, chances[np.ix_(order, order)])


def _design(one: NDArray[np.intp], other: NDArray[np.intp], methods: int) -> Floats:
    """Return [comparisons, methods]: +1 where the first stands, −1 where the second does."""
    design = np.zeros((len(one), methods))
    design[np.arange(len(one)), one] = 1.0
    design[np.arange(len(one)), other] = -1.0
    return design


def _covariance(design: Floats, target: Floats, weights: Floats, strengths: Floats, codes: NDArray[np.intp]) -> Floats:
    """Return the covariance [methods, methods] of the strengths around their mean."""
    chances = sigmoid(design @ strengths)
    curvature = design.T @ (design * (weights * chances * (1 - chances))[:, None])
    bread = np.linalg.pinv(curvature, rcond=1e-10, hermitian=True)  # of strengths that add up to zero
    count = len(codes)  # what a prior adds is no data
    scores = design[:count] * (target - chances)[:count, None]
    groups = int(codes.max()) + 1
    sums = np.zeros((groups, design.shape[1]))
    np.add.at(sums, codes, scores)
    if np.abs(sums).max() < 1e-9:  # draws alone: how they spread is unknown, and they count as wins and losses would
        return np.asarray(bread, dtype=np.float64)
    return np.asarray(bread @ (sums.T @ sums) @ bread * groups / max(groups - 1, 1), dtype=np.float64)


def _check(names: Sequence[str], one: NDArray[np.intp], other: NDArray[np.intp], values: Floats, prior: float) -> None:
    """Refuse comparisons from which no rating follows."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if len(names) < 2:
        raise UserError(f"comparisons must be between two methods or more, got {len(names)}")
    if (alone := np.flatnonzero(one == other)).size:
        raise UserError(f"a method must not be compared to itself, got {names[one[alone[0]]]}")
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"preferences must lie in [0, 1], got {values[(values < 0) | (values > 1)][0]}")
    count = len(names)
    compared = csr_array((np.ones(len(one)), (one, other)), shape=(count, count))
    parts, label = connected_components(compared, directed=False)
    if parts > 1:
        raise UserError(
            f"comparisons must connect all methods, got {_listed(names, label)}, never compared across the bars"
        )
    won, lost = values > 0, values < 1
    ends = np.concatenate((one[won], other[lost])), np.concatenate((other[won], one[lost]))
    beaten = csr_array((np.ones(len(ends[0])), ends), shape=(count, count))
    parts, label = connected_components(beaten, directed=True, connection="strong")
    if parts > 1 and prior == 0:  # Ford 1957: finite strengths exist if and only if every split has wins both ways
        raise UserError(
            f"methods must win and lose against the rest, got {_listed(names, label)}, between which one always wins;"
            " prior=0.5 adds half a draw to every pair"
        )


def _listed(names: Sequence[str], label: NDArray[np.integer[Any]]) -> str:
    """Return names by part: "a, b | c"."""
    parts: dict[int, list[str]] = {}
    for name, part in zip(names, label.tolist(), strict=True):
        parts.setdefault(part, []).append(name)
    return " | ".join(", ".join(part) for part in parts.values())
