"""How far a law q lies from a model p, summed exactly over the vocabulary."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.qstar.deferred import current


class Divergence(NamedTuple):
    """Each [n], one per token position."""

    kl: Tensor
    """D(q‖p) in nats; +inf where q has mass that p has not."""
    ess: Tensor
    """1 / Σ p²/q in [0, 1]; 0 where p has mass that q has not, since the sum then diverges."""
    uncovered: Tensor
    """Σ p over tokens with q = 0."""


def divergence(model_logprobs: Tensor, law_logprobs: Tensor, law_probs: Tensor) -> Divergence:
    """Compare a model with the law that tokens are drawn from.

    Args:
        model_logprobs: [n, vocab] log p.
        law_logprobs: [n, vocab] log q.
        law_probs: [n, vocab] q, which the caller has at hand.

    """
    log_ratio = law_logprobs - model_logprobs
    device = log_ratio.device.type
    # Autocast would take the dot product for a layer's matmul.
    with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
        # D(q‖p) = Σ q log(q/p) in one pass, without a [n, vocab] product.
        kl = torch.linalg.vecdot(law_probs, log_ratio)
    # A −inf anywhere, which full supports never have, shows here: −inf + inf and 0 · inf are NaN, q · inf is inf.
    asks = current() is None
    if asks and not math.isfinite(float(kl.sum())):
        return _restricted(model_logprobs, law_logprobs, law_probs)
    restricted_mask = None if asks else ~kl.isfinite()
    # Σ q (p/q)² = Σ exp(log q − 2 log(q/p)). On a CPU exp2 is vectorized and takes a third of exp's time; it costs a
    # relative error of 1e-6.
    exponents = torch.sub(law_logprobs, log_ratio, alpha=2, out=log_ratio)  # a buffer that is warm
    second_moment = exponents.mul_(math.log2(math.e)).exp2_().sum(-1)
    # Rounding may leave the KL of equal laws slightly below 0.
    full = Divergence(kl.clamp_min_(0.0), second_moment.reciprocal_(), torch.zeros_like(kl))
    if restricted_mask is None:
        return full
    rest = _restricted(model_logprobs, law_logprobs, law_probs)
    return Divergence(*(torch.where(restricted_mask, a, b) for a, b in zip(rest, full, strict=True)))


def _restricted(model_logprobs: Tensor, law_logprobs: Tensor, law_probs: Tensor) -> Divergence:
    inside = law_logprobs > -torch.inf
    log_ratio = torch.where(inside, model_logprobs - law_logprobs, 0.0)
    # q may underflow to 0 where log q is finite; p = 0 would make that 0 · inf.
    kl = -torch.where(law_probs > 0, law_probs * log_ratio, 0.0).sum(-1)
    second_moment = torch.where(inside, (law_logprobs + 2 * log_ratio).exp(), 0.0).sum(-1)
    uncovered = torch.where(inside, 0.0, model_logprobs.exp()).sum(-1)
    missed_mask = ((model_logprobs > -torch.inf) & ~inside).any(-1)  # also mass too small for `uncovered` to show
    return Divergence(kl.clamp_min_(0.0), torch.where(missed_mask, 0.0, second_moment.reciprocal()), uncovered)
