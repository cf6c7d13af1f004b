"""How large a difference is, apart from how sure it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qstar_pl.errors import UserError


def paired_cohen_d(differences: ArrayLike) -> float | None:
    """Return the mean of paired differences in units of their standard deviation (Cohen 1988); None without spread.

    Args:
        differences: [pairs].

    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    return float(values.mean() / values.std(ddof=1))


def paired_hedges_g(differences: ArrayLike) -> float | None:
    """Return Cohen's d of paired differences without its bias in small samples (Hedges 1981).

    d is on average too large by 1/J, J = Γ(f/2)/(√(f/2) Γ((f − 1)/2)) with f = pairs − 1: for three pairs J is 0.56.

    Args:
        differences: [pairs].

    Returns:
        J·d; None with fewer than three pairs, of which d has no mean, or without spread.

    """
    from scipy.special import gammaln

    values = np.asarray(differences, dtype=np.float64)
    d, freedom = paired_cohen_d(values), len(values) - 1
    if d is None or freedom < 2:
        return None
    return d * float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """Return P(X > Y) + P(X = Y)/2 for X of the first sample and Y of the second, each drawn on its own.

    The Mann–Whitney statistic over its largest value, as Agarwal et al. 2021 use it (https://arxiv.org/abs/2108.13264);
    twice this minus one is Cliff's delta.

    Args:
        first: [n], at least one.
        second: [m], at least one.

    Raises:
        UserError: if a sample is empty.

    """
    from scipy.stats import rankdata

    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (len(x) and len(y)):
        raise UserError(f"samples must hold at least one number each, got {len(x)} and {len(y)}")
    ranks = rankdata(np.concatenate((x, y)))[: len(x)]
    return float((ranks.sum() - len(x) * (len(x) + 1) / 2) / (len(x) * len(y)))
