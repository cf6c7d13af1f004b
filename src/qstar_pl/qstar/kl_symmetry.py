"""α* with D(q‖π_θ) = D(q‖π_t): the Chernoff point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from qstar_pl.qstar.mixture import Mixture, geometric_mixture
from qstar_pl.qstar.root import Evaluation, RootProblem, Step, rounding, select
from qstar_pl.qstar.solution import AlphaSolution
from qstar_pl.qstar.solve import OnDisjoint, check, finish, solve, solve_blocks
from qstar_pl.qstar.tensors import require_tensors
from qstar_pl.qstar.tilt import Cumulants, cumulants, excess

# Below this, |log Σπ_θ − log Σπ_t| is due to rounding. Beyond it, rows are not normalized to float32, or the log-ratio
# is so wide that its own rounding does not matter.
SHIFT_LIMIT = 1e-3

# The exponent of a token of log-probability −32 is rounded by 16 eps, and so is its term of a sum: 4 times the 4 eps of
# `KLSymmetryProblem._noise`.
GRAIN_NOISE = 4.0


@dataclass(frozen=True)
class KLSymmetryProblem(RootProblem):
    """Λ'(α) = D(q‖π_t) − D(q‖π_θ), which increases with slope Var_q[log π_θ/π_t].

    log_softmax rounds. Its normalizer is off by some eps, which shifts a whole row of log π_θ/π_t, and next to 1 the
    mode's log-probability is a multiple of eps. Both shift Λ' by as much as they shift c = log Σπ_θ − log Σπ_t, which
    is 0 for the laws that were rounded: Λ' − c is free of them.
    """

    outside: Tensor
    """[rows] Σ π_θ − Σ π_t over the tokens outside the common support."""
    shift: Tensor
    """[rows] c, nats; 0 where it was not looked for."""
    grain: Tensor
    """[rows] probability of all tokens but the mode, under both laws; inf where c was not looked for."""

    value_is_mean: ClassVar[bool] = True
    passes: ClassVar[int] = 6

    @classmethod
    def build(cls, base: Tensor, direction: Tensor) -> Self:
        """See `RootProblem.build`."""
        zeros = base.new_zeros(base.shape[0])
        return cls(base, direction, zeros, zeros, zeros + torch.inf)

    @classmethod
    def build_restricted(cls, base: Tensor, direction: Tensor, outside: Tensor) -> Self:
        """See `RootProblem.build_restricted`."""
        return replace(cls.build(base, direction), outside=outside)

    def evaluate(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate`."""
        return self.evaluated(cumulants(self.base, self.direction, alpha))

    def evaluated(self, at: Cumulants) -> Evaluation:
        """Return the functions [rows], given the cumulants at some α."""
        eps = torch.finfo(at.mean.dtype).eps
        # Rounded terms of the sum: the mode's is about the mean, the others come to √(1 − q_mode) · rms at most.
        terms = at.mean.abs() + (1 - at.mode + eps).sqrt() * at.rms
        noise = self._noise(terms, self.grain, at.log_z)
        # The normalizers that log_softmax rounded are about as large as the log-probability of a common mode.
        blur = 2 * eps * (1 + (at.log_z + at.mode.log()).abs())
        blur = torch.where(self.grain < torch.inf, 0.0, blur)
        return Evaluation(at.mean - self.shift, at.variance, at.third, noise, blur, at.log_z, at.rms)

    def sharpen(self, rows: Tensor, alpha: Tensor, now: Evaluation) -> tuple[Self, Evaluation]:
        """See `RootProblem.sharpen`: looks for c, which costs about as much as an evaluation."""
        base, direction = (select(x, rows) for x in (self.base, self.direction))
        shift, grain = _normalizers(base, direction, self.outside.index_select(0, rows))
        sharp = replace(self, shift=self.shift.index_copy(0, rows, shift), grain=self.grain.index_copy(0, rows, grain))
        return sharp, replace(self.sharpened(sharp, alpha, now), blur=now.blur.index_fill(0, rows, 0.0))

    def sharp(self) -> Self:
        """See `RootProblem.sharp`."""
        shift, grain = _normalizers(self.base, self.direction, self.outside)
        return replace(self, shift=shift, grain=grain)

    def sharp_as(self, restricted: Self) -> Self:
        """See `RootProblem.sharp_as`: nothing of it depends on how the problem was built."""
        return restricted

    def sharpened(self, sharp: Self, alpha: Tensor, now: Evaluation) -> Evaluation:
        """See `RootProblem.sharpened`."""
        sharp_mask = sharp.grain < torch.inf
        noise = torch.where(sharp_mask, self._noise(GRAIN_NOISE * sharp.grain, sharp.grain, now.log_z), now.noise)
        return replace(now, value=now.value + self.shift - sharp.shift, noise=noise, blur=torch.zeros_like(now.blur))

    @staticmethod
    def _noise(terms: Tensor, grain: Tensor, log_z: Tensor) -> Tensor:
        """Return the rounding error of Λ' − c, from the size of the terms of Λ' and those of c."""
        shift = torch.where(grain < torch.inf, grain, 0.0)
        # Exponents of size −log Z are rounded too, and each such error weighs in with its log-ratio.
        return 4 * torch.finfo(log_z.dtype).eps * (torch.minimum(terms, GRAIN_NOISE * grain) + shift) * (1 - log_z)

    def guess(self, alpha: Tensor, now: Evaluation) -> Tensor:
        """See `RootProblem.guess`: Λ(1) = Λ(0) makes Λ'(½) = −Λ'''(½)/24 for laws so close that Λ' is all rounding."""
        known_mask = (alpha == 0.5) & (now.rms > rounding(alpha.dtype)) & (now.slope > 0)
        step = now.curvature / (24 * now.slope)
        return alpha + torch.where(known_mask, step.clamp(-0.1, 0.1), 0.0)

    def foresee(self, alpha: Tensor, now: Evaluation, step: Step) -> tuple[Tensor, Tensor]:
        """See `RootProblem.foresee`: from α = ½ the two-atom model is held against a quintic.

        Λ is 0 at both ends, since both laws sum to 1. With its value and three derivatives at ½ that makes six
        conditions: the fourth and fifth, which the two-atom model takes for granted, are measured by the ends.
        """
        miss, value = super().foresee(alpha, now, step)
        h = step.size.clamp(-0.5, 0.5)  # a longer step would leave [0, 1], and is not taken
        # The even and the odd part of Λ(½ ± ½) = 0: Λ + Λ''/8 + Λ⁗/384 = 0 and Λ'/2 + Λ'''/48 + Λ⁽⁵⁾/3840 = 0.
        fourth, fifth = -384 * now.log_z - 48 * now.slope, -1920 * now.value - 80 * now.curvature
        ahead = now.value + h * (now.slope + h * (now.curvature / 2 + h * (fourth / 6 + h * fifth / 24)))
        slope = now.slope + h * (now.curvature + h * (fourth / 2 + h * fifth / 6))
        middle_mask = alpha == 0.5
        # ahead/slope is the step that Newton would still take there.
        miss = torch.where(middle_mask, torch.maximum((ahead / slope).abs(), 0.2 * miss), miss)
        return miss, torch.where(middle_mask, ahead, value)


def _normalizers(base: Tensor, direction: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Return `KLSymmetryProblem.shift` and `grain` [rows] of some rows."""
    policy, policy_others = excess(base + direction)
    target, target_others = excess(base)
    # c ≈ Σ π_θ − Σ π_t, both sums completed by the tokens outside the common support.
    shift = policy - target + outside
    return torch.where(shift.abs() < SHIFT_LIMIT, shift, 0.0), policy_others + target_others


def solve_kl_symmetry(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> AlphaSolution:
    """Find α* where the geometric mixture is equally far from both: D(q‖π_θ) = D(q‖π_t).

    Λ(α) = log Σ π_θ^α π_t^(1−α) is convex and D(q_α‖π_θ) − D(q_α‖π_t) = −Λ'(α), so α* minimizes Λ: it is the Chernoff
    point (Chernoff 1952), both divergences equal −Λ(α*) there, and that is the Chernoff information. Solved by
    third-order steps (`two_point_step`) inside a bracket: 1–2 passes over the vocabulary. The last step is not followed
    by another evaluation; log Z and the KL gap are carried along it.

    Args:
        policy_logprobs: [..., V] log π_θ, normalized log-probabilities (not raw logits); -inf means probability 0. Half
            precision is normalized again, in float32.
        target_logprobs: [..., V] log π_t.
        tol: largest error of α, by the solver's own estimate; 1 row in some 1,000 misses by more. Rounding sets a
            limit: some 1e-4 in float32 for distributions that differ by 1e-3 nats; float64 is good for 1e-10.
        max_iter: most passes over the vocabulary per row.
        on_disjoint: for rows without a common token: raise, or let q be π_θ ("policy", α = 1) or π_t ("target", α = 0).
        normalised: the caller knows that every row sums to 1 (it comes straight from log_softmax): skip the check.

    Returns:
        `AlphaSolution` with fields [...], in float32 (float64 for float64 arguments). Tokens that only one distribution
        can produce count for nothing. No gradient flows through it.

    Raises:
        UserError: the arguments are not log-probabilities of one shape.
        DisjointSupportError: a row has no common token and `on_disjoint` is "raise".

    """
    return solve(
        KLSymmetryProblem,
        policy_logprobs,
        target_logprobs,
        tol=tol,
        max_iter=max_iter,
        on_disjoint=on_disjoint,
        normalised=normalised,
    )


def mix_kl_symmetric(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> tuple[AlphaSolution, Mixture]:
    """Solve as `solve_kl_symmetry` and return the mixture at α* too, with the log Z that the solver already knows.

    Cheaper than `geometric_mixture` of the solution, and without gradient; equal to it up to rounding, log Z included.
    """
    require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    policy_logprobs, target_logprobs = policy_logprobs.detach(), target_logprobs.detach()
    check(policy_logprobs, target_logprobs, tol, max_iter, normalised)
    parts, logprobs = [], []
    for block in solve_blocks(KLSymmetryProblem, policy_logprobs, target_logprobs, tol, max_iter, on_disjoint):
        alpha, rows = block.solution.alpha, block.restricted
        exponents = torch.addcmul(block.target, alpha.unsqueeze(-1), block.direction)
        mixed = exponents.log_softmax(-1)
        # What log_softmax subtracted: log Z to rounding, where the solver's was carried along its last step.
        log_z = exponents.amax(-1) - mixed.amax(-1)
        if rows.dtype == torch.bool:
            mended = geometric_mixture(block.policy, block.target, alpha)
            mixed = torch.where(rows.unsqueeze(-1), mended.logprobs, mixed)
            log_z = torch.where(rows, mended.log_z, log_z)
        elif rows.numel() > 0:
            mended = geometric_mixture(block.policy[rows], block.target[rows], alpha[rows])
            mixed.index_copy_(0, rows, mended.logprobs)
            log_z.index_copy_(0, rows, mended.log_z)
        parts.append(replace(block.solution, log_z=log_z))
        logprobs.append(mixed)
    solution = finish(parts, policy_logprobs.shape[:-1], on_disjoint)
    return solution, Mixture(_joined(logprobs).reshape(policy_logprobs.shape), solution.log_z)


def _joined(parts: list[Tensor]) -> Tensor:
    """Return the rows of all parts, without a copy if there is one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)
