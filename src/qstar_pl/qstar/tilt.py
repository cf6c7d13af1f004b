"""The exponential family log π_t + α log(π_θ/π_t): one pass over the vocabulary gives Λ and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cumulants:
    """Λ(α) = log Σ exp(base + α direction) and its derivatives, [rows] each."""

    log_z: Tensor
    """Λ: log Z, nats."""
    mean: Tensor
    """Λ' = E_q[direction]."""
    variance: Tensor
    """Λ'' = Var_q[direction]."""
    third: Tensor
    """Λ''' = E_q[(direction − mean)³]."""
    rms: Tensor
    """sqrt(E_q[direction²])."""
    mode: Tensor
    """max q, the probability of the most probable token."""


def cumulants(base: Tensor, direction: Tensor, alpha: Tensor) -> Cumulants:
    """Evaluate the family at `alpha` [rows] in one pass over `base` and `direction` [rows, V].

    `direction` must be finite; `base` may be -inf (a token outside the common support).
    """
    exponents = torch.addcmul(base, alpha.unsqueeze(-1), direction)
    terms = exponents.softmax(-1)
    # softmax is a single fused loop, faster on a CPU than exp alone; what it divided by is recovered at the mode.
    mode = terms.amax(-1)
    log_z = exponents.amax(-1) - mode.log()
    mean = terms.mul_(direction).sum(-1)  # terms is this function's own buffer
    second = terms.mul_(direction).sum(-1)
    third = terms.mul_(direction).sum(-1)
    square = mean * mean
    return Cumulants(
        log_z=log_z,
        mean=mean,
        variance=(second - square).clamp_min(0),
        third=third - mean * (3 * second - 2 * square),
        rms=second.sqrt(),
        mode=mode,
    )


def growth(base: Tensor, direction: Tensor, alpha: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return Σ (exp(base + α direction) − exp(base)) [rows], and the sum of the terms' sizes [rows].

    Exact to rounding of its own terms. Where two laws nearly agree, or nearly all mass lies on one token, it is far
    below 1, and a difference of sums or of log-sums of rounded log-probabilities has lost it. The rounding of the
    mode's log-probability enters here by as much as it enters Λ', so that a difference of the two is free of it.
    """
    exponents = direction * alpha
    weights = base.exp()
    # Above 1 nat the difference is no smaller than its terms; there expm1 could overflow where exp(base) vanishes.
    far = (base + exponents).exp() - weights
    terms = torch.where(exponents < 1, weights * torch.expm1(exponents.clamp_max(1)), far)
    return terms.sum(-1), terms.abs().sum(-1)
