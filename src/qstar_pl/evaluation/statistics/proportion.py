"""The interval of a proportion, or of another mean between two bounds, over clustered rows."""

from __future__ import annotations

import numpy as np

from qstar_pl.evaluation.statistics.clustered import ClusteredError
from qstar_pl.evaluation.statistics.interval import Interval
from qstar_pl.evaluation.statistics.rows import Floats, Rows


def bounded_interval(rows: Rows, clustered: ClusteredError, bounds: tuple[float, float], confidence: float) -> Interval:
    """Return Wilson's interval at the effective number of rows, as surveys use it (Franco et al. 2019).

    The effective number is N/D with the design effect D = SE²·N/(p(1 − p)). It alone is estimated from how groups
    spread, so Student's quantile has the degrees of freedom of D, which are infinite where every row is a group.
    Where the standard error is zero (all values at one end, or every group alike), nothing is known of how the rows of
    one group correlate, and the groups alone count.

    Args:
        rows: values [rows, 1] of at least two groups.
        clustered: the standard error of their mean.
        bounds: (low, high) of a value.
        confidence: in (0, 1).

    """
    from scipy.special import stdtrit

    low, high = bounds
    shares = (rows.values[:, 0] - low) / (high - low)
    sizes = rows.sizes
    share = min(1.0, max(0.0, float(shares.mean())))
    error = clustered.error / (high - low)
    if error > 0:
        effective = share * (1 - share) / error**2
        if np.isin(shares, (0.0, 1.0)).all():  # wins and losses never tell more than as many independent ones
            effective = min(effective, float(len(shares)))
        freedom = max(clustered.freedom, _freedom((rows.sums[:, 0] - low * sizes) / (high - low), sizes))
    else:
        effective, freedom = float(rows.groups), np.inf
    t = float(stdtrit(min(freedom, 1e9), (1 + confidence) / 2))
    scale = 1 + t**2 / effective
    center = (share + t**2 / (2 * effective)) / scale
    half = t / scale * float(np.sqrt(share * (1 - share) / effective + t**2 / (4 * effective**2)))
    ends = 0.0 if share == 0 else max(0.0, center - half), 1.0 if share == 1 else min(1.0, center + half)
    return Interval(low + (high - low) * ends[0], low + (high - low) * ends[1], confidence, "clustered Wilson")


def _freedom(sums: Floats, sizes: Floats) -> float:
    """Return 2/Var(log D), the degrees of freedom of a variance so sure; Var by leaving out one group at a time.

    Zero where leaving one out leaves no spread, so that nothing can be said.
    """
    groups, left = len(sums), sizes.sum() - sizes
    means = (sums.sum() - sums) / left
    squares = (
        ((sums**2).sum() - sums**2)
        - 2 * means * ((sums * sizes).sum() - sums * sizes)
        + means**2 * ((sizes**2).sum() - sizes**2)
    )
    if not ((squares > 0) & (means > 0) & (means < 1)).all():
        return 0.0
    logarithms = np.log(squares / (left * means * (1 - means)))
    variance = (groups - 1) / groups * float(((logarithms - logarithms.mean()) ** 2).sum())
    return 2 / max(variance, 1e-12)
