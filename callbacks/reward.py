"""The rewards of the sampled answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import mean_of, present, widen


class RewardDiagnostic(RolloutDiagnostic):
    """Rewards of the answers as drawn, so of q and not of π_θ (validation samples from π_θ itself).

    Over the N answers of the window:

    - `reward/mean` = Σr/N;  `reward/std` = √(Σr²/N − mean²), the population's
    - `reward/<component>` = the mean of that part, for example `reward/gold` and `reward/proxy`, which drift apart
      when the proxy is over-optimized

    Args:
        prog_bar: show `reward/mean` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("reward/mean",)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        scored = report.weighted.scored
        answers = scored.rollout.completion_mask.any(-1)
        self._add("reward", scored.rewards, answers)
        self.add("reward_squares", masked_sum(widen(scored.rewards).square(), answers))
        for name, values in scored.components.items():
            self._add(f"component/{name}", values, answers)

    def _add(self, name: str, values: Tensor, answers: Tensor) -> None:
        self.add(name, masked_sum(widen(values), answers))
        self.add(f"count/{name}", answers.sum())

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        mean = mean_of(stats, "reward", "count/reward")
        squares = mean_of(stats, "reward_squares", "count/reward")
        metrics: dict[str, float | None] = {
            f"reward/{name.removeprefix('component/')}": mean_of(stats, name, f"count/{name}")
            for name in stats
            if name.startswith("component/")
        }
        if mean is not None and squares is not None:
            metrics |= {"reward/mean": mean, "reward/std": math.sqrt(max(0.0, squares - mean**2))}
        return present(metrics)
