"""What methods that learn from pairs of answers make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lightning.pytorch import Trainer

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .reductions import mean_of, present, widen


class PreferenceDiagnostic(Diagnostic):
    """Rewards and log-probabilities of the answers of pairs, before the step that learns from them.

    With c and r the chosen and the rejected answer of each of the N pairs of all ranks, micro-steps and steps since
    the last log, r(y) = β Σ_t log π_θ(y_t)/π_init(y_t) for DPO and LEDPO (whose β is the prompt's own), and a reward
    model's own reward for RewardModeling:

    - `rewards/chosen` = Σ r(c)/N;  `rewards/rejected` = Σ r(r)/N;  `rewards/margins` = Σ (r(c) − r(r))/N
    - `rewards/accuracies` = Σ (1[r(c) > r(r)] + ½ · 1[r(c) = r(r)])/N
    - `logps/chosen`, `logps/rejected` = Σ log π_θ(y)/N with log π_θ(y) = Σ_t log π_θ(y_t), in nats; of a policy only

    Args:
        prog_bar: show `rewards/margins` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("rewards/margins",)

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        for key, values in report.pairs.items():
            self.add(f"sum/{key}", widen(values).sum())
            self.add(f"count/{key}", float(values.numel()))

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        keys = [name.removeprefix("sum/") for name in stats if name.startswith("sum/")]
        return present({key: mean_of(stats, f"sum/{key}", f"count/{key}") for key in keys})
