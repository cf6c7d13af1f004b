"""Per-token effective sample sizes of π_θ and π_t under the sampling distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import mean_of, present, widen


class ESSDiagnostic(RolloutDiagnostic):
    """How well q covers both policies, exactly, over the vocabulary at each sampled position.

    With ESS_π(q) = 1/Σ_y π(y)²/q(y) of one next-token distribution, in (0, 1], and means over counted tokens:

    - `ess/policy` = mean ESS_θ
    - `ess/target` = mean ESS_t
    - `ess/ratio`  = `ess/policy` / `ess/target`: 1 at the ESS-balanced α; KL symmetry only comes near it

    These are properties of single tokens. How many answers the importance weights are worth is
    `weights/ess_fraction`, which is far smaller for long answers.

    Args:
        prog_bar: show `ess/ratio` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("ess/ratio",)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        self.add("tokens", rollout.completion_mask.sum())
        self.add("policy", masked_sum(widen(rollout.ess_policy), rollout.completion_mask))
        self.add("target", masked_sum(widen(rollout.ess_target), rollout.completion_mask))

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        return present(
            {
                "ess/policy": mean_of(stats, "policy", "tokens"),
                "ess/target": mean_of(stats, "target", "tokens"),
                "ess/ratio": mean_of(stats, "policy", "target"),  # both means have the same count
            }
        )
