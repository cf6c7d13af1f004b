"""How far the law that answers follow is from the law that the trainer computes, where others drew them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import MAX, mean_of, present, widen


class MismatchDiagnostic(RolloutDiagnostic):
    """The trainer's log q against log μ of the engine, or of the earlier weights, that drew the tokens; else silent.

    With d_t = log q(y_t) − log μ(y_t) and ρ_t = exp d_t, means over counted tokens (the tokens follow μ):

    - `mismatch/logprob_mean`, `mismatch/logprob_max`: of |d_t|, nats
    - `mismatch/kl_trainer_engine_k1` = mean of ρ d, `mismatch/kl_trainer_engine_k3` = mean of ρ d − ρ + 1: both
      estimate D(q‖μ) per token, nats; the second is never negative, and of lower variance
    - `mismatch/kl_engine_trainer_k1` = mean of −d, `mismatch/kl_engine_trainer_k3` = mean of ρ − 1 − d: D(μ‖q)
    - `mismatch/outside_fraction`: share of the tokens with ρ outside [low, high]
    - `mismatch/sequence_mean`, `mismatch/sequence_max`: of |Σ_t d_t| over answers, nats
    - `rollout/staleness_steps`: mean over answers of the optimizer steps between the weights that drew them and theirs
      that learn from them

    A token that q cannot produce has d = −∞, and the means say so.

    Args:
        low: smallest ratio that counts as inside, at least 0.
        high: largest, above `low`.
        prog_bar: show `mismatch/logprob_mean` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("mismatch/logprob_mean",)

    def __init__(self, low: float = 0.5, high: float = 2.0, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)
        if not 0 <= low < high:
            raise UserError(f"low and high must satisfy 0 <= low < high, got low={low}, high={high}")
        self.low = low
        self.high = high

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        if rollout.info.staleness_steps is not None:
            self.add("answers", len(rollout))
            self.add("staleness", len(rollout) * rollout.info.staleness_steps)
        if rollout.recomputed_logprobs is None:
            return
        mask = rollout.completion_mask
        difference = widen(rollout.recomputed_logprobs) - widen(rollout.behavior_logprobs)
        difference = torch.where(mask, difference, 0.0)
        ratio = difference.exp()
        weighted = torch.where(ratio > 0, ratio * difference, 0.0)  # 0 · −∞ is NaN, and its limit 0
        outside_mask = ((ratio < self.low) | (ratio > self.high)) & mask
        # Every summand is 0 at pads, where d = 0 and ρ = 1.
        sums: dict[str, Tensor] = {
            "tokens": mask.sum(),
            "absolute": difference.abs().sum(),
            "trainer_k1": weighted.sum(),
            "trainer_k3": (weighted - ratio + 1).sum(),
            "engine_k1": -difference.sum(),
            "engine_k3": (ratio - 1 - difference).sum(),
            "outside": outside_mask.sum(),
        }
        for name, value in sums.items():
            self.add(name, value)
        of_answers = difference.sum(-1).abs()
        self.add("sequences", mask.any(-1).sum())
        self.add("sequence", of_answers.sum())
        if mask.numel():
            self.add("largest", difference.abs().amax(), MAX)
            self.add("largest_sequence", of_answers.amax(), MAX)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        return present(
            {
                "mismatch/logprob_mean": mean_of(stats, "absolute", "tokens"),
                "mismatch/logprob_max": stats.get("largest"),
                "mismatch/kl_trainer_engine_k1": mean_of(stats, "trainer_k1", "tokens"),
                "mismatch/kl_trainer_engine_k3": mean_of(stats, "trainer_k3", "tokens"),
                "mismatch/kl_engine_trainer_k1": mean_of(stats, "engine_k1", "tokens"),
                "mismatch/kl_engine_trainer_k3": mean_of(stats, "engine_k3", "tokens"),
                "mismatch/outside_fraction": mean_of(stats, "outside", "tokens"),
                "mismatch/sequence_mean": mean_of(stats, "sequence", "sequences"),
                "mismatch/sequence_max": stats.get("largest_sequence"),
                "rollout/staleness_steps": mean_of(stats, "staleness", "answers"),
            }
        )
