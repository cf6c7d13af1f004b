"""The obvious solver of KL symmetry: the reference that the fast one is held against, selectable in experiments."""

from dataclasses import replace

import torch
from torch import Tensor

from qstar_pl.qstar.kl import kl_divergence
from qstar_pl.qstar.mixture import geometric_mixture
from qstar_pl.qstar.root import rounding
from qstar_pl.qstar.solution import AlphaSolution, AlphaStatus, refuse_disjoint
from qstar_pl.qstar.solve import OnDisjoint, check


def bisect_kl_symmetry(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> AlphaSolution:
    """Find the α of `solve_kl_symmetry` by `max_iter` halvings of [0, 1], each with a mixture and two divergences.

    Same arguments, result and errors. All rows take all steps; `tol` only decides on `converged`. Both laws are first
    normalized again in float64, which also mends what float32 rounded away next to certainty.
    """
    check(policy_logprobs, target_logprobs, tol, max_iter, normalised)
    with torch.no_grad():
        dtype = torch.promote_types(torch.promote_types(policy_logprobs.dtype, target_logprobs.dtype), torch.float32)
        wide = dtype if policy_logprobs.device.type == "mps" else torch.float64  # MPS has no float64
        policy, target = (x.detach().to(wide).log_softmax(-1) for x in (policy_logprobs, target_logprobs))
        common_mask = (policy > -torch.inf) & (target > -torch.inf)
        disjoint_mask = ~common_mask.any(-1)
        if on_disjoint == "raise":
            refuse_disjoint(disjoint_mask)
        fallback = 1.0 if on_disjoint == "policy" else 0.0
        solution = _bisect(policy, target, common_mask, disjoint_mask, tol, max_iter, fallback, dtype)
        rounded = {name: getattr(solution, name).to(dtype) for name in ("alpha", "kl_gap", "log_z")}
        return replace(solution, **rounded)


def _bisect(
    policy: Tensor,
    target: Tensor,
    common_mask: Tensor,
    disjoint_mask: Tensor,
    tol: float,
    max_iter: int,
    fallback: float,
    dtype: torch.dtype,
) -> AlphaSolution:
    # A disjoint row has no mixture: it is carried along as a pair of equal distributions, and overwritten at the end.
    substitute = disjoint_mask.unsqueeze(-1)
    left, right = torch.where(substitute, target, policy), target
    low, high = torch.zeros_like(left[..., 0]), torch.ones_like(left[..., 0])
    for _ in range(max_iter):
        alpha = 0.5 * (low + high)
        mixture = geometric_mixture(left, right, alpha)
        to_left, to_right = (kl_divergence(mixture.logprobs, x, normalised=True) for x in (left, right))
        gap = to_left - to_right
        # A larger α brings q closer to π_θ.
        low, high = torch.where(gap > 0, alpha, low), torch.where(gap > 0, high, alpha)
    # Only where the supports differ can the KL gap keep its sign up to an end.
    log_ratio = torch.where(common_mask, policy - target, 0.0)
    restricted_mask = ~common_mask.all(-1)
    zero_mask = restricted_mask & (low == 0) & (_mean(target, common_mask, log_ratio) > 0)
    one_mask = restricted_mask & (high == 1) & (_mean(policy, common_mask, log_ratio) < 0)
    end_mask = zero_mask | one_mask
    identical_mask = (log_ratio.abs().amax(-1) <= rounding(dtype)) & ~disjoint_mask
    status = torch.where(end_mask, int(AlphaStatus.BOUNDARY), int(AlphaStatus.OK))
    status = status.masked_fill(identical_mask, int(AlphaStatus.IDENTICAL))
    status = status.masked_fill(disjoint_mask, int(AlphaStatus.DISJOINT))
    alpha = alpha.masked_fill(zero_mask, 0.0).masked_fill(one_mask, 1.0).masked_fill(identical_mask, 0.5)
    return AlphaSolution(
        alpha=alpha.masked_fill(disjoint_mask, fallback),
        kl_gap=gap.masked_fill(disjoint_mask, -torch.inf if fallback == 1.0 else torch.inf),
        iterations=torch.full_like(status, max_iter),
        # The last α evaluated is the middle of a bracket of 0.5^(max_iter − 1).
        converged=(status != AlphaStatus.OK) | (0.5**max_iter <= tol),
        status=status,
        log_z=mixture.log_z.masked_fill(end_mask | disjoint_mask, 0.0),
    )


def _mean(logprobs: Tensor, common_mask: Tensor, log_ratio: Tensor) -> Tensor:
    """Return E[log π_θ/π_t] [...] under a law restricted to the common support, up to a positive factor."""
    return (torch.where(common_mask, logprobs.exp(), 0.0) * log_ratio).sum(-1)
