"""Kullback–Leibler divergence between two distributions over the vocabulary."""

import torch
from torch import Tensor

from qstar_pl.qstar.checks import at_least_float32, check_logprobs
from qstar_pl.qstar.tensors import require_tensors


def kl_divergence(p_logprobs: Tensor, q_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
    """Return D(p‖q) = Σ p (log p − log q) in nats, over the last dimension.

    Args:
        p_logprobs: [..., V] normalized log-probabilities; -inf means probability 0.
        q_logprobs: [..., V] likewise.
        normalised: the caller knows that all rows sum to 1: skip the check.

    Returns:
        [...]: ≥ 0 up to rounding; +inf where p has a token that q lacks; 0 · log 0 counts as 0. Half precision is
        computed in float32. Differentiable in both arguments where finite.

    Raises:
        UserError: a row is not normalized, or holds NaN.

    """
    require_tensors(p_logprobs=p_logprobs, q_logprobs=q_logprobs)
    if not normalised:
        check_logprobs(p_logprobs=p_logprobs, q_logprobs=q_logprobs)
    p_logprobs, q_logprobs = at_least_float32(p_logprobs), at_least_float32(q_logprobs)
    log_ratio = (p_logprobs - q_logprobs).masked_fill(p_logprobs == -torch.inf, 0.0)
    # exp(log p) may underflow to 0 where log p is finite; 0 · inf would then hide the missing token in a NaN.
    uncovered_mask = log_ratio == torch.inf
    divergence = (p_logprobs.exp() * log_ratio.masked_fill(uncovered_mask, 0.0)).sum(-1)
    return divergence.masked_fill(uncovered_mask.any(-1), torch.inf)


def mixture_kls(alpha: Tensor, kl_gap: Tensor, log_z: Tensor) -> tuple[Tensor, Tensor]:
    """Return D(q_α‖π_θ) and D(q_α‖π_t) [...] of a geometric mixture from what its solver already knows.

    With m = Λ'(α) = −kl_gap: D(q‖π_θ) = (α − 1) m − log Z and D(q‖π_t) = α m − log Z; no pass over the vocabulary.
    Valid where q lies in both supports (status OK or IDENTICAL).
    """
    require_tensors(alpha=alpha, kl_gap=kl_gap, log_z=log_z)
    return (1 - alpha) * kl_gap - log_z, -alpha * kl_gap - log_z
