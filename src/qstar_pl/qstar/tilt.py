"""The exponential family log π_t + α log(π_θ/π_t): one pass over the vocabulary gives Λ and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import hardshrink


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
        variance=(second - square).clamp_min(0),  # rounding can make it negative
        third=third - mean * (3 * second - 2 * square),  # E[(x − m)³] = E[x³] − 3 m E[x²] + 2 m³
        rms=second.sqrt(),
        mode=mode,
    )


def excess(exponents: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ exp(exponents) − 1 [rows], and the part of the sum that is not a dominant token's [rows].

    Where one token has nearly all probability, log_softmax rounds its log-probability to a multiple of eps, and with it
    every sum. Here the other tokens, which are exact, are summed apart from it.
    """
    terms, top = exponents.softmax(-1), exponents.amax(-1)
    share = terms.amax(-1)
    # hardshrink keeps what exceeds ½ and nothing else; it is vectorized where masks are not. The factor top.exp()/share
    # is what softmax divided by.
    others = terms.sub_(hardshrink(terms, 0.5)).sum(-1) * (top.exp() / share)
    return torch.where(share > 0.5, torch.expm1(top), -1.0) + others, others
