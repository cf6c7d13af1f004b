"""The β that LEDPO learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from lightning.pytorch import Trainer

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .reductions import MAX, MIN, mean_of, widen


class BetaDiagnostic(Diagnostic):
    """A learned β over the pairs of the window, for methods whose report has the histogram "beta".

    Over the N pairs of all ranks, micro-steps and steps since the last log:

    - `beta/mean` = Σβ/N;  `beta/std` = √(Σβ²/N − mean²) (population);  `beta/min`, `beta/max`

    Args:
        prog_bar: show `beta/mean` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("beta/mean",)

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        betas = report.histograms.get("beta")
        if betas is None or betas.numel() == 0:
            return
        betas = widen(betas)
        self.add("pairs", float(betas.numel()))
        self.add("sum", betas.sum())
        self.add("squares", betas.square().sum())
        self.add("min", betas.min(), MIN)
        self.add("max", betas.max(), MAX)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        mean, square = mean_of(stats, "sum", "pairs"), mean_of(stats, "squares", "pairs")
        if mean is None or square is None:
            return {}
        std = math.sqrt(max(0.0, square - mean**2))  # rounding can make it negative where all β are equal
        return {"beta/mean": mean, "beta/std": std, "beta/min": stats["min"], "beta/max": stats["max"]}
