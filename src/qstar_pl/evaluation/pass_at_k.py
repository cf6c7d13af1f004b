"""The probability that at least one of k programs passes, estimated from n of them."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return 1 − C(n−c, k)/C(n, k): unbiased for the probability that one of k independent programs passes.

    In the product form ∏_{i=n−c+1..n} (1 − k/i), in which nothing overflows. See Chen et al. 2021, equation 1,
    https://arxiv.org/abs/2107.03374.

    Args:
        samples: n, programs that were judged, at least 1.
        passed: c, how many of them passed, in [0, n].
        k: in [1, n]; for a larger k no unbiased estimator exists.

    Raises:
        UserError: if an argument is outside its range.

    """
    at_least(1, samples=samples)
    if not 0 <= passed <= samples:
        raise UserError(f"passed must lie in [0, {samples}] for {samples} samples, got {passed}")
    if not 1 <= k <= samples:
        raise UserError(f"k must lie in [1, {samples}] for {samples} samples, got {k}")
    none_passes = 1.0
    for i in range(max(samples - passed + 1, 1), samples + 1):
        if i <= k:  # n − c < k: whichever k are chosen, one of them passes
            return 1.0
        none_passes *= 1.0 - k / i
    return 1.0 - none_passes


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float:
    """Return the mean of `pass_at_k` over problems, given as (samples, passed) each.

    Raises:
        UserError: if there is no problem, or one has fewer than k samples.

    """
    if not counts:
        raise UserError("counts must hold at least one problem, got none")
    return sum(pass_at_k(samples, passed, k) for samples, passed in counts) / len(counts)
