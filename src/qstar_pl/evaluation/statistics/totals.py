"""An interval of any number that is formed from totals over rows: a ratio, corpus BLEU, perplexity, a difference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.checks import at_least, within
from qstar_pl.evaluation.statistics.interval import Estimate, Interval
from qstar_pl.evaluation.statistics.rows import Floats, rows_of

Statistic = Callable[[Floats], float]
"""Forms the number from the totals [width] of rows."""

FEW_GROUPS = 40
"""Below this many prompts the bootstrap's intervals are too short; the jackknife's with Student's t are not."""
MANY_GROUPS = 4000
"""Above this many prompts the bias and the skewness that BCa corrects are below what can be seen, and it costs their
square."""
_CELLS = 4_000_000


def statistic_interval(
    values: ArrayLike,
    groups: Sequence[Any] | NDArray[Any] | None,
    statistic: Statistic,
    *,
    confidence: float = 0.95,
    mask: ArrayLike | None = None,
    resamples: int = 1999,
    seed: int = 0,
) -> Estimate:
    """Estimate a number that is a function of totals over rows, by resampling whole groups.

    The standard error is the delete-one-group jackknife's. The interval is SciPy's BCa bootstrap over groups (Efron
    1987); with fewer than `FEW_GROUPS` it is the jackknife's error times Student's t, with more than `MANY_GROUPS` the
    bootstrap's percentiles.

    Args:
        values: [rows, width], what every row adds to the totals: numerators, denominators, n-gram counts.
        groups: [rows], the prompt of each row; None if all rows are independent.
        statistic: totals [width] → number.
        confidence: in (0, 1).
        mask: [rows], false where there is nothing to measure.
        resamples: how many resampled sets of groups.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        An estimate; without an interval, and with the reason, if there is no row or a single prompt, if all prompts
        give the same number, or if it is undefined without one of the prompts.

    Raises:
        UserError: if lengths differ or a row that counts is not finite.

    """
    within("(0, 1)", confidence=confidence)
    at_least(100, resamples=resamples)
    rows = rows_of(values, groups, mask)
    count, prompts = len(rows.values), rows.groups
    if count == 0:
        return Estimate(None, None, None, 0, 0, "no row has anything to measure")
    sums = rows.sums
    value = _formed(statistic, sums.sum(axis=0))
    if value is None:
        return Estimate(None, None, None, count, prompts, "the totals do not define it")
    if prompts == 1:
        return Estimate(value, None, None, count, 1, "a single prompt does not tell how prompts differ")
    without = [_formed(statistic, rest) for rest in sums.sum(axis=0) - sums]
    if any(one is None for one in without):
        return Estimate(value, None, None, count, prompts, "it rests on a single prompt, without which it is undefined")
    deviations = np.asarray(without, dtype=np.float64)
    deviations = deviations - deviations.mean()
    error = float(np.sqrt((prompts - 1) / prompts * (deviations**2).sum()))
    if error <= 1e-12 * abs(value):
        return Estimate(value, 0.0, None, count, prompts, f"all {prompts} prompts give the same value")
    interval = None
    if prompts >= FEW_GROUPS:
        interval = _bootstrap(sums, statistic, confidence, resamples, seed)
    if interval is None:
        from scipy.special import stdtrit

        half = float(stdtrit(prompts - 1, (1 + confidence) / 2)) * error
        interval = Interval(value - half, value + half, confidence, "jackknife t over prompts")
    return Estimate(value, error, interval, count, prompts)


def difference_of(statistic: Statistic) -> Statistic:
    """Return the statistic of rows [first | second] of two systems on the same prompts: the first's minus the second's.

    With `statistic_interval` it gives the interval of the difference of two corpus metrics, both over the same prompts.
    """

    def difference(totals: Floats) -> float:
        half = len(totals) // 2
        return float(statistic(totals[:half])) - float(statistic(totals[half:]))

    return difference


def _formed(statistic: Statistic, totals: Floats) -> float | None:
    """Return the number, or None where the totals do not define one (0/0)."""
    try:
        with np.errstate(all="ignore"):
            number = float(statistic(totals))
    except ZeroDivisionError:
        return None
    return number if np.isfinite(number) else None


def _bootstrap(sums: Floats, statistic: Statistic, confidence: float, resamples: int, seed: int) -> Interval | None:
    """Return the bootstrap's interval over groups; None if some resample does not define the number."""
    from scipy.stats import bootstrap

    method = "BCa" if len(sums) <= MANY_GROUPS else "percentile"

    def of_groups(chosen: NDArray[np.intp], axis: int = -1) -> Floats:
        drawn = np.moveaxis(chosen, axis, -1)
        # How often each group was drawn, times what it adds: no group's totals are copied for each time.
        times = [np.bincount(one, minlength=len(sums)) for one in drawn.reshape(-1, drawn.shape[-1])]
        formed = [_formed(statistic, totals) for totals in np.stack(times).astype(np.float64) @ sums]
        return np.array([np.nan if one is None else one for one in formed]).reshape(drawn.shape[:-1])

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of resamples that do not define the number; the result says so too
        result = bootstrap(
            (np.arange(len(sums)),),
            of_groups,
            n_resamples=resamples,
            batch=max(1, _CELLS // sums.size),
            vectorized=True,
            confidence_level=confidence,
            method=method,
            rng=np.random.default_rng(seed),
        )
    low, high = map(float, result.confidence_interval)
    if not (np.isfinite(result.bootstrap_distribution).all() and np.isfinite(low) and np.isfinite(high)):
        return None
    return Interval(low, high, confidence, f"{method} bootstrap over prompts")
