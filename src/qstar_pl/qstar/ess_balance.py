"""α with ESS_θ = ESS_t: the exact balance of effective sample sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from qstar_pl.qstar.kl_symmetry import SHIFT_LIMIT
from qstar_pl.qstar.root import Evaluation, RootProblem, select
from qstar_pl.qstar.solution import AlphaSolution
from qstar_pl.qstar.solve import OnDisjoint, solve
from qstar_pl.qstar.tilt import cumulants, excess


@dataclass(frozen=True)
class ESSBalanceProblem(RootProblem):
    """log ESS_θ − log ESS_t = Λ(−α) − Λ(2−α), which increases: Λ is convex and −α < 2 − α."""

    sharp_mask: Tensor
    """[rows] bool: both values of Λ are summed without the rounding of log_softmax, see `_sharp_value`."""

    # Λ is taken on both sides of [0, 1], where its cumulants change faster than inside.
    caution: ClassVar[float] = 1.0
    passes: ClassVar[int] = 5

    @classmethod
    def build(cls, base: Tensor, direction: Tensor) -> Self:
        """See `RootProblem.build`."""
        return cls(base, direction, torch.zeros(base.shape[0], dtype=torch.bool, device=base.device))

    @classmethod
    def build_restricted(cls, base: Tensor, direction: Tensor, outside: Tensor) -> Self:
        """See `RootProblem.build_restricted`: both sides are normalized on the common support.

        Otherwise the side with less mass there would seem to be the better sampled one.
        """
        policy, target = (base + direction).log_softmax(-1), base.log_softmax(-1)
        return cls.build(target, torch.where(base > -torch.inf, policy - target, 0.0))

    def evaluate(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate`."""
        # A row that was sharpened once is summed that way at every later α.
        return self._sharpened(self.sharp_mask.nonzero().squeeze(-1), alpha, self.plain(alpha))

    def plain(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.plain`."""
        policy_side = cumulants(self.base, self.direction, 2 - alpha)
        target_side = cumulants(self.base, self.direction, -alpha)
        eps, nan = torch.finfo(alpha.dtype).eps, torch.full_like(alpha, torch.nan)
        size = policy_side.log_z.abs() + target_side.log_z.abs()
        # d/dα [Λ(−α) − Λ(2−α)] = Λ'(2−α) − Λ'(−α), and d²/dα² = Λ''(−α) − Λ''(2−α).
        return Evaluation(
            value=target_side.log_z - policy_side.log_z,
            slope=(policy_side.mean - target_side.mean).clamp_min(0),  # Λ is convex: less than 0 is rounding
            curvature=target_side.variance - policy_side.variance,
            noise=4 * eps * size,
            blur=4 * eps * (1 - target_side.mode.log() - policy_side.mode.log()),
            log_z=nan,  # of the mixture: Λ(α) is in neither of the two evaluations
            rms=nan,
        )

    def sharpen(self, rows: Tensor, alpha: Tensor, now: Evaluation) -> tuple[Self, Evaluation]:
        """See `RootProblem.sharpen`."""
        return replace(self, sharp_mask=self.sharp_mask.index_fill(0, rows, True)), self._sharpened(rows, alpha, now)

    def wants_sharp(self, now: Evaluation, tol: float) -> Tensor:
        """See `RootProblem.wants_sharp`."""
        return self.blurred(now, tol) | self.sharp_mask

    def sharp(self) -> Self:
        """See `RootProblem.sharp`."""
        return replace(self, sharp_mask=torch.ones_like(self.sharp_mask))

    def evaluate_sharp(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate_sharp`."""
        return self.sharpened(self, alpha, self.plain(alpha))

    def sharpened(self, sharp: Self, alpha: Tensor, now: Evaluation) -> Evaluation:
        """See `RootProblem.sharpened`."""
        return self._sharpened(torch.arange(len(alpha), device=alpha.device), alpha, now)

    def _sharpened(self, rows: Tensor, alpha: Tensor, now: Evaluation) -> Evaluation:
        """Return `now` with the values of `rows` from sums that keep what is next to 1, see `excess`.

        Where rounding shifts log π_θ by a and log π_t by b, Λ(s) shifts by b + s (a − b), and the difference of its two
        values by −2 (a − b); `excess` at both ends gives a and b.
        """
        if rows.numel() == 0:
            return now
        base, direction, at = (select(x, rows) for x in (self.base, self.direction, alpha.unsqueeze(-1)))
        (target_side, _), (policy_side, others) = (excess(torch.addcmul(base, x, direction)) for x in (-at, 2 - at))
        (policy, policy_others), (target, target_others) = excess(base + direction), excess(base)
        total = policy - target
        value = target_side.log1p() - policy_side.log1p() + 2 * total
        noise = 4 * torch.finfo(alpha.dtype).eps * (others + policy_others + target_others)
        sound_mask = value.isfinite() & (total.abs() < SHIFT_LIMIT)
        return replace(
            now,
            value=now.value.index_copy(0, rows, torch.where(sound_mask, value, now.value.index_select(0, rows))),
            noise=now.noise.index_copy(0, rows, torch.where(sound_mask, noise, now.noise.index_select(0, rows))),
            blur=now.blur.index_copy(0, rows, torch.where(sound_mask, 0.0, now.blur.index_select(0, rows))),
        )


def solve_ess_balance(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> AlphaSolution:
    """Find α where samples of the mixture are worth equally much to both: ESS_θ = ESS_t, ESS_π(q) = 1/Σ π²/q.

    With Λ extended outside [0, 1], log ESS_θ = −Λ(α) − Λ(2−α) and log ESS_t = −Λ(α) − Λ(−α). Λ(2−α) − Λ(−α) is strictly
    decreasing, Λ(2) ≥ 0 at α = 0 and −Λ(−1) ≤ 0 at α = 1, so there is exactly one root. It agrees with KL symmetry to
    second order in the log-ratio only: at the KL-symmetric α, ESS_θ/ESS_t is 0.94–1.03 for close language models and up
    to 3.5 where one is much sharper. A pass here costs two evaluations, so about twice `solve_kl_symmetry`.

    Args:
        policy_logprobs: [..., V] log π_θ, normalized log-probabilities (not raw logits); -inf means probability 0.
        target_logprobs: [..., V] log π_t.
        tol: largest error of α.
        max_iter: most passes per row.
        on_disjoint: as for `solve_kl_symmetry`.
        normalised: the caller knows that every row sums to 1 (it comes straight from log_softmax): skip the check.

    Returns:
        `AlphaSolution`; `kl_gap` and `log_z` are those of the mixture at this α. Where the supports differ, both are
        first normalized on the common support; the true ESS of a distribution with mass outside it is 0.

    Raises:
        UserError: the arguments are not log-probabilities of one shape.
        DisjointSupportError: a row has no common token and `on_disjoint` is "raise".

    """
    return solve(
        ESSBalanceProblem,
        policy_logprobs,
        target_logprobs,
        tol=tol,
        max_iter=max_iter,
        on_disjoint=on_disjoint,
        normalised=normalised,
    )
