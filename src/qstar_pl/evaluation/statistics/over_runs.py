"""What to say of many runs on many tasks, after Agarwal et al. 2021 (https://arxiv.org/abs/2108.13264)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.interval import Estimate, Interval
from qstar_pl.evaluation.statistics.rows import Floats


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores: less moved by one lucky run than the mean is.

    Args:
        scores: any shape, [runs, tasks] as a rule; all numbers count alike.

    Raises:
        UserError: if there is none or one is not finite.

    """
    from scipy.stats import trim_mean

    return float(trim_mean(_checked(scores), 0.25, axis=None))


def interquartile_mean_interval(
    scores: ArrayLike, *, confidence: float = 0.95, resamples: int = 1999, seed: int = 0
) -> Estimate:
    """Estimate the interquartile mean, by resampling the runs of each task on its own (stratified bootstrap).

    Args:
        scores: [runs, tasks].
        confidence: in (0, 1).
        resamples: how many resampled tables.
        seed: of the resampling.

    Returns:
        An estimate with the percentile interval; without one, and with the reason, for a single run or equal scores.

    Raises:
        UserError: if there is no score or one is not finite.

    """
    from scipy.stats import trim_mean

    within("(0, 1)", confidence=confidence)
    at_least(100, resamples=resamples)
    table = _checked(scores)
    if table.ndim != 2:
        raise UserError(f"scores must be [runs, tasks], got {table.ndim} dimensions")
    runs, tasks = table.shape
    value = interquartile_mean(table)
    if runs == 1:
        return Estimate(value, None, None, table.size, runs, "a single run does not tell how runs differ")
    chosen = np.random.default_rng(seed).integers(0, runs, size=(resamples, runs, tasks))
    drawn = np.take_along_axis(table[None], chosen, axis=1).reshape(resamples, -1)
    values = trim_mean(drawn, 0.25, axis=1)
    error = float(values.std(ddof=1))
    if error <= 1e-12 * abs(value):
        return Estimate(value, 0.0, None, table.size, runs, f"all {runs} runs give the same value")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    interval = Interval(float(low), float(high), confidence, "stratified percentile bootstrap over runs")
    return Estimate(value, error, interval, table.size, runs)


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return, for each threshold, the share of scores above it.

    Args:
        scores: [runs, tasks]; all numbers count alike.
        thresholds: [thresholds].

    Returns:
        [thresholds], falling from 1 to 0 as the threshold rises.

    Raises:
        UserError: if there is no score or one is not finite.

    """
    table = np.sort(_checked(scores).reshape(-1))
    below = np.searchsorted(table, np.asarray(thresholds, dtype=np.float64), side="right")
    return np.asarray(1 - below / len(table), dtype=np.float64)


def _checked(scores: ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if not table.size:
        raise UserError("scores must hold at least one number, got none")
    if not np.isfinite(table).all():
        raise UserError(f"scores must be finite, got {table[~np.isfinite(table)][0]}")
    return table
