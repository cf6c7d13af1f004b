"""α that minimizes the second moment of the importance-weighted policy gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from qstar_pl.qstar.root import Evaluation, RootProblem
from qstar_pl.qstar.solution import AlphaSolution
from qstar_pl.qstar.solve import OnDisjoint, solve
from qstar_pl.qstar.tilt import cumulants

# Probability outside the common support that is less than this is taken for rounding.
OUTSIDE = 1e-4


@dataclass(frozen=True)
class SNRProblem(RootProblem):
    """d/dα log M(α) = Λ'(α) − E_r[ℓ], r ∝ κ e^(−αℓ): increasing, since log M is a sum of two convex functions."""

    ends_known: ClassVar[bool] = False  # M may fall or rise over all of [0, 1], also on full support

    squared_gradient: Tensor
    """log κ [rows, V]: π_θ² ℓ² ‖e_y − π_θ‖² / π_t."""

    @classmethod
    def build(cls, base: Tensor, direction: Tensor) -> Self:
        """See `RootProblem.build`."""
        policy = (base + direction).exp()
        mode, index = policy.max(-1, keepdim=True)
        rest = policy.scatter(-1, index, 0.0)
        squares = (rest * rest).sum(-1, keepdim=True)
        # ‖e_y − π‖² = (1 − π_y)² + Σ_{z≠y} π_z². Both cancel at the mode, so there 1 − π_y is summed from the others.
        distance = (1 - policy).square() + (squares + mode * mode - policy * policy).clamp_min(0)
        beyond = 1 - policy.sum(-1, keepdim=True)
        remainder = rest.sum(-1, keepdim=True) + torch.where(beyond > OUTSIDE, beyond, 0.0)
        distance = distance.scatter(-1, index, remainder.square() + squares)
        # π_θ²/π_t = π_t e^{2ℓ}: base + 2 direction. A token with ℓ = 0 has log κ = −inf, and no weight in r.
        return cls(base, direction, base + 2 * direction + 2 * direction.abs().log() + distance.log())

    def evaluate(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate`."""
        # M = e^Λ(α) Σ κ e^(−αℓ), so each derivative of log M is a cumulant of q plus or minus one of r.
        q = cumulants(self.base, self.direction, alpha)
        r = cumulants(self.squared_gradient, self.direction, -alpha)
        width = q.rms + r.rms
        return Evaluation(
            value=q.mean - r.mean,
            slope=q.variance + r.variance,
            curvature=q.third - r.third,
            # Log-ratios carry the rounding of the normalizers, which are as large as the mode's log-probability.
            noise=torch.finfo(alpha.dtype).eps * (4 * width * (1 + q.log_z.abs()) + 2 * (1 - q.mode.log())),
            blur=torch.zeros_like(alpha),
            log_z=q.log_z,
            rms=q.rms,
        )


def solve_snr(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> AlphaSolution:
    """Find α that minimizes M(α) = Σ_y π_θ(y)² A(y)² ‖e_y − π_θ‖² / q_α(y) with A = log π_t − log π_θ.

    M is the second moment, under q_α, of the single-sample estimate (π_θ/q) A ∇_logits log π_θ(y) of the policy
    gradient with reward log π_t/π_θ (whose expected value is −D(π_θ‖π_t)). Its mean does not depend on α, so the α of
    least M has the largest signal-to-noise ratio ‖mean‖²/variance. log M is convex; where it falls or rises over all
    of [0, 1] the end is returned with status BOUNDARY.

    Args:
        policy_logprobs: [..., V] log π_θ, normalized log-probabilities (not raw logits); -inf means probability 0.
        target_logprobs: [..., V] log π_t.
        tol: largest error of α.
        max_iter: most passes per row.
        on_disjoint: as for `solve_kl_symmetry`.
        normalised: the caller knows that every row sums to 1 (it comes straight from log_softmax): skip the check.

    Returns:
        `AlphaSolution`; sums run over the common support.

    Raises:
        UserError: the arguments are not log-probabilities of one shape.
        DisjointSupportError: a row has no common token and `on_disjoint` is "raise".

    """
    return solve(
        SNRProblem,
        policy_logprobs,
        target_logprobs,
        tol=tol,
        max_iter=max_iter,
        on_disjoint=on_disjoint,
        normalised=normalised,
    )


def snr_alpha(policy_logprobs: Tensor, target_logprobs: Tensor) -> Tensor:
    """Return the exponents [...] of `solve_snr` with its default tolerance."""
    return solve_snr(policy_logprobs, target_logprobs).alpha
