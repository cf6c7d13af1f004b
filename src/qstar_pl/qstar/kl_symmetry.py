"""α* with D(q‖π_θ) = D(q‖π_t): the Chernoff point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from qstar_pl.qstar.mixture import Mixture, geometric_mixture
from qstar_pl.qstar.root import Evaluation, RootProblem
from qstar_pl.qstar.solution import AlphaSolution
from qstar_pl.qstar.solve import OnDisjoint, finish, solve, solve_blocks
from qstar_pl.qstar.tilt import cumulants


@dataclass(frozen=True)
class KLSymmetryProblem(RootProblem):
    """Λ'(α) = D(q‖π_t) − D(q‖π_θ), which increases with slope Var_q[log π_θ/π_t]."""

    value_is_mean: ClassVar[bool] = True

    def evaluate(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate`."""
        at = cumulants(self.base, self.direction, alpha)
        # Exponents of size −log Z are rounded, and each such error weighs in with the width of the log-ratio.
        noise = 2 * torch.finfo(alpha.dtype).eps * at.rms * (1 - at.log_z)
        return Evaluation(at.mean, at.variance, at.third, noise, at.log_z, at.rms)


def solve_kl_symmetry(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-4,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
) -> AlphaSolution:
    """Find α* where the geometric mixture is equally far from both: D(q‖π_θ) = D(q‖π_t).

    Λ(α) = log Σ π_θ^α π_t^(1−α) is convex and D(q_α‖π_θ) − D(q_α‖π_t) = −Λ'(α), so α* minimises Λ: it is the Chernoff
    point (Chernoff 1952), both divergences equal −Λ(α*) there, and that is the Chernoff information. Solved by
    third-order steps (`two_point_step`) inside a bracket: 1–3 passes over the vocabulary.

    Args:
        policy_logprobs: [..., V] log π_θ, normalised log-probabilities (not raw logits); -inf means probability 0.
        target_logprobs: [..., V] log π_t.
        tol: largest |D(q‖π_θ) − D(q‖π_t)|, nats.
        max_iter: most passes over the vocabulary per row.
        on_disjoint: for rows without a common token: raise, or let q be π_θ ("policy", α = 1) or π_t ("target", α = 0).

    Returns:
        `AlphaSolution` with fields [...], in float32 (float64 for float64 arguments). Tokens that only one distribution
        can produce count for nothing. No gradient flows through it.

    Raises:
        UserError: the arguments are not log-probabilities of one shape.
        DisjointSupportError: a row has no common token and `on_disjoint` is "raise".

    """
    return solve(
        KLSymmetryProblem, policy_logprobs, target_logprobs, tol=tol, max_iter=max_iter, on_disjoint=on_disjoint
    )


def mix_kl_symmetric(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-4,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
) -> tuple[AlphaSolution, Mixture]:
    """Solve as `solve_kl_symmetry` and return the mixture at α* too, with the log Z that the solver already knows.

    Cheaper than `geometric_mixture` of the solution, and without gradient; equal to it up to rounding.
    """
    policy_logprobs, target_logprobs = policy_logprobs.detach(), target_logprobs.detach()
    parts, logprobs = [], []
    for block in solve_blocks(KLSymmetryProblem, policy_logprobs, target_logprobs, tol, max_iter, on_disjoint):
        alpha, log_z, rows = block.solution.alpha, block.solution.log_z, block.restricted_rows
        mixed = torch.addcmul(block.target, alpha.unsqueeze(-1), block.direction).sub_(log_z.unsqueeze(-1))
        if rows.numel() > 0:
            mixed.index_copy_(0, rows, geometric_mixture(block.policy[rows], block.target[rows], alpha[rows]).logprobs)
        parts.append(block.solution)
        logprobs.append(mixed)
    solution = finish(parts, policy_logprobs.shape[:-1], on_disjoint)
    return solution, Mixture(torch.cat(logprobs).reshape(policy_logprobs.shape), solution.log_z)
