"""The geometric mixture q_α ∝ π_θ^α π_t^(1−α)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.qstar.deferred import current, raising
from qstar_pl.qstar.logsumexp import logsumexp
from qstar_pl.qstar.solution import refuse_disjoint
from qstar_pl.qstar.tensors import require_tensors


@dataclass(frozen=True)
class Mixture:
    """A normalized geometric mixture."""

    logprobs: Tensor
    """[..., V] log q_α, nats."""
    log_z: Tensor
    """[...] log Z_α = log Σ π_θ^α π_t^(1−α), nats, ≤ 0 (Hölder)."""


_ALPHA = "alpha must lie in [0, 1], got"


def geometric_mixture(policy_logprobs: Tensor, target_logprobs: Tensor, alpha: Tensor | float) -> Mixture:
    """Return q_α(y) = π_θ(y)^α π_t(y)^(1−α) / Z_α.

    Args:
        policy_logprobs: [..., V] log π_θ: normalized log-probabilities, not raw logits (log_z would be that of the
            logits). -inf means probability 0.
        target_logprobs: [..., V] log π_t.
        alpha: [...] (or anything that can be expanded to it) in [0, 1], the exponent of the policy.

    Returns:
        `Mixture`; half precision is computed and returned in float32. Where alpha is exactly 0 or 1 the
        log-probabilities are π_t's or π_θ's bit for bit and log_z is 0, also where the supports differ. Differentiable
        in all arguments; tokens outside the common support have no gradient.

    Raises:
        UserError: alpha is NaN or outside [0, 1].
        DisjointSupportError: a row with 0 < alpha < 1 has no token of positive probability under both.

    """
    require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    if not isinstance(alpha, float | int):
        require_tensors(alpha=alpha)
    dtype = torch.promote_types(torch.promote_types(policy_logprobs.dtype, target_logprobs.dtype), torch.float32)
    policy, target = policy_logprobs.to(dtype), target_logprobs.to(dtype)
    alpha = torch.as_tensor(alpha, dtype=dtype, device=policy.device).expand(policy.shape[:-1])
    inner_mask = (alpha > 0) & (alpha < 1)
    inner = _checked(alpha, inner_mask)
    exponent = alpha.unsqueeze(-1)
    if alpha.requires_grad:
        # d/dα is log π_θ − log π_t, infinite outside the common support, where 0 · inf would make the gradient NaN: so
        # the infinities are replaced before the product, and the result is masked.
        common_mask = (policy > -torch.inf) & (target > -torch.inf)
        finite_policy, finite_target = (torch.where(common_mask, x, 0.0) for x in (policy, target))
        unnormalized = torch.where(common_mask, _blend(finite_policy, finite_target, exponent), -torch.inf)
    else:
        unnormalized = _blend(policy, target, exponent)
    # At 0 and 1 the law itself is taken: 0 · (-inf) in the blend is NaN.
    if not inner:
        end = torch.where((alpha == 1).unsqueeze(-1), policy, target)
        unnormalized = torch.where(inner_mask.unsqueeze(-1), unnormalized, end)
    log_z = logsumexp(unnormalized)
    if not inner:
        log_z = torch.where(inner_mask, log_z, 0.0)
    refuse_disjoint(log_z == -torch.inf)
    return Mixture(logprobs=unnormalized - log_z.unsqueeze(-1), log_z=log_z)


def _checked(alpha: Tensor, inner_mask: Tensor) -> bool:
    """Refuse α outside [0, 1], and return whether all rows are known to lie inside."""
    if (deferred := current()) is not None:
        outside_mask = ~((alpha >= 0) & (alpha <= 1))
        deferred.note("alpha", outside_mask, raising(lambda places: UserError(f"{_ALPHA} another in row {places[0]}")))
        return False
    inner = bool(inner_mask.all())
    if not inner and not bool(((alpha >= 0) & (alpha <= 1)).all()):
        raise UserError(f"{_ALPHA} {alpha[~((alpha >= 0) & (alpha <= 1))][0].item()}")
    return inner


def _blend(policy: Tensor, target: Tensor, exponent: Tensor) -> Tensor:
    # Two products instead of b + α(a − b): for 0 < α < 1 a product with -inf is -inf, but -inf − (-inf) would be NaN.
    return torch.addcmul(policy * exponent, target, 1 - exponent)
