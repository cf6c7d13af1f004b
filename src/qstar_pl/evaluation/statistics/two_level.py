"""A number over several seeds that answer the same prompts: both are samples, and both make it unsure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.checks import within
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.interval import Estimate, Interval
from qstar_pl.evaluation.statistics.rows import Floats, rows_of
from qstar_pl.evaluation.statistics.totals import Statistic


def two_level_interval(
    values: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    seeds: Sequence[Any] | NDArray[Any],
    *,
    statistic: Statistic | None = None,
    confidence: float = 0.95,
    mask: ArrayLike | None = None,
) -> Estimate:
    """Estimate a mean, or a number formed from totals, for new seeds on new prompts.

    Rows are resampled at both levels by leaving out one seed, one prompt, and one (seed, prompt) at a time. A seed's
    variance and a prompt's each hold that of the single answers, so it is taken off once: V = V_seed + V_prompt −
    V_answer (Cameron, Gelbach & Miller 2011), and never less than the larger of the first two. The interval is
    Student's, with the degrees of freedom of Satterthwaite 1946, to which few seeds give few.

    Args:
        values: [rows] or [rows, width].
        groups: [rows], the prompt of each row.
        seeds: [rows], the seed of the run that gave it.
        statistic: totals [width] → number; None for the mean.
        confidence: in (0, 1).
        mask: [rows], false where there is nothing to measure.

    Returns:
        An estimate; with a single seed or prompt it has no interval, and the reason says so.

    Raises:
        UserError: if lengths differ or a row that counts is not finite.

    """
    within("(0, 1)", confidence=confidence)
    if len(seeds) != len(groups):
        raise UserError(f"seeds must name the seed of each of {len(groups)} rows, got {len(seeds)}")
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if statistic is None:
        if table.shape[1] != 1:
            raise UserError(f"values must be one number per row, got {table.shape[1]}")
        table = np.concatenate((table, np.ones_like(table)), axis=1)
    form = _ratio if statistic is None else statistic
    by_prompt = rows_of(table, groups, mask)
    by_seed = rows_of(table, seeds, mask)
    by_answer = rows_of(table, list(zip(seeds, groups, strict=True)), mask)
    count, prompts = len(by_prompt.values), by_prompt.groups
    if count == 0:
        return Estimate(None, None, None, 0, 0, "no row has anything to measure")
    value = float(form(by_prompt.sums.sum(axis=0)))
    for levels, number in (("seed", by_seed.groups), ("prompt", prompts)):
        if number == 1:
            return Estimate(value, None, None, count, prompts, f"a single {levels} does not tell how {levels}s differ")
    of_seeds, of_prompts, of_answers = (_jackknife(one.sums, form) for one in (by_seed, by_prompt, by_answer))
    variance = max(of_seeds + of_prompts - of_answers, of_seeds, of_prompts)
    if not np.isfinite(variance):
        return Estimate(value, None, None, count, prompts, "it is undefined without one of the seeds or prompts")
    error = float(np.sqrt(variance))
    if error <= 1e-12 * abs(value):
        return Estimate(value, 0.0, None, count, prompts, "all seeds and prompts give the same value")
    freedom = variance**2 / (of_seeds**2 / (by_seed.groups - 1) + of_prompts**2 / (prompts - 1))
    freedom = max(freedom, float(min(by_seed.groups, prompts) - 1))
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    interval = Interval(value - half, value + half, confidence, "two-level jackknife t over seeds and prompts")
    return Estimate(value, error, interval, count, prompts)


def _ratio(totals: Floats) -> float:
    return float(totals[0] / totals[1])


def _jackknife(sums: Floats, statistic: Statistic) -> float:
    """Return the delete-one variance over groups of the number formed from their totals; not finite if undefined."""
    total, count = sums.sum(axis=0), len(sums)
    with np.errstate(all="ignore"):
        try:
            without = np.array([float(statistic(total - one)) for one in sums])
        except ZeroDivisionError:
            return float("nan")
    return float((count - 1) / count * ((without - without.mean()) ** 2).sum())
