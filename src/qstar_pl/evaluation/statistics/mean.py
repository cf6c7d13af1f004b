"""A mean over answers with its standard error and interval, where answers share prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.clustered import clustered_error
from qstar_pl.evaluation.statistics.interval import Estimate, Interval
from qstar_pl.evaluation.statistics.proportion import bounded_interval
from qstar_pl.evaluation.statistics.rows import rows_of


def mean_interval(
    values: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    confidence: float = 0.95,
    mask: ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Estimate the mean over rows, which are independent between groups and may be anything within one.

    The standard error is clustered by group with the small-sample correction CR2 of Bell & McCaffrey 2002, the interval
    a Student t with their degrees of freedom: with groups of one size, what the t-interval of the groups' means is.
    The mean of a quantity with `bounds` has Wilson's interval instead, at the number of independent rows that would
    have this standard error: it never leaves the bounds, nor shrinks to a point at them.

    Args:
        values: [rows].
        groups: [rows], the prompt of each row; None if all rows are independent.
        confidence: in (0, 1).
        mask: [rows], false where there is nothing to measure; such rows count nowhere.
        bounds: (low, high) between which a value must lie by what it is, as (0, 1) of a win rate. None takes (0, 1) if
            every value is 0 or 1; infinite ends say that there are none.

    Returns:
        An estimate; without an interval, and with the reason, if there is no row, or a single prompt, or if all prompts
        have one and the same mean of a quantity without bounds.

    Raises:
        UserError: if lengths differ, a value is not finite or lies outside the bounds.

    """
    within("(0, 1)", confidence=confidence)
    rows = rows_of(values, groups, mask)
    if rows.values.shape[1] != 1:
        raise UserError(f"values must be one number per row, got {rows.values.shape[1]}")
    column = rows.values[:, 0]
    count, prompts = len(column), rows.groups
    if count == 0:
        return Estimate(None, None, None, 0, 0, "no row has anything to measure")
    value = float(column.mean())
    if bounds is None and bool(np.isin(column, (0.0, 1.0)).all()):
        bounds = (0.0, 1.0)
    if bounds is not None and (column.min() < bounds[0] or column.max() > bounds[1]):
        wrong = column.min() if column.min() < bounds[0] else column.max()
        raise UserError(f"values must lie in [{bounds[0]}, {bounds[1]}], got {wrong}")
    if prompts == 1:
        return Estimate(value, None, None, count, 1, "a single prompt does not tell how prompts differ")
    clustered = clustered_error(rows)
    if bounds is not None and np.isfinite(bounds).all():
        interval = bounded_interval(rows, clustered, bounds, confidence)
        return Estimate(value, clustered.error, interval, count, prompts)
    if clustered.error == 0:
        return Estimate(value, 0.0, None, count, prompts, f"all {prompts} prompts have the same value")
    half = clustered.quantile(confidence) * clustered.error
    return Estimate(
        value, clustered.error, Interval(value - half, value + half, confidence, "clustered t"), count, prompts
    )
