"""The exponent of π_θ in the mixture, and what normalising token by token costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import row_log_weights
from .reductions import MAX, MIN, mean_of, widen


class AlphaDiagnostic(RolloutDiagnostic):
    """α per context and the normaliser Z_α, over the counted tokens (T of them, in N answers).

    - `alpha/mean` = Σα/T;  `alpha/std` = √(Σα²/T − mean²), the population's;  `alpha/min`, `alpha/max`
    - `alpha/log_z` = Σ log Z_α/T, nats per token, ≤ 0; −log_z is the Chernoff information where α is KL-symmetric
    - `alpha/sequence_log_z` = 1/N Σ_i Σ_t log Z_t, nats per answer: the gap between the token-wise mixture and the
      sequence-level one, which is not normalised token by token

    Args:
        prog_bar: show `alpha/mean` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("alpha/mean",)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        mask, alpha = rollout.completion_mask, widen(rollout.alpha)
        if mask.numel() == 0:
            return
        log_z, answers = row_log_weights(rollout.log_z, mask)
        self.add("tokens", mask.sum())
        self.add("answers", answers.sum())
        self.add("alpha", masked_sum(alpha, mask))
        self.add("alpha_squares", masked_sum(alpha.square(), mask))
        self.add("max", torch.where(mask, alpha, -torch.inf).amax(), MAX)
        self.add("min", torch.where(mask, alpha, torch.inf).amin(), MIN)
        self.add("log_z", log_z.sum())

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Diagnostic.compute`."""
        mean = mean_of(stats, "alpha", "tokens")
        if mean is None:
            return {}
        return {
            "alpha/mean": mean,
            "alpha/std": math.sqrt(max(0.0, stats["alpha_squares"] / stats["tokens"] - mean**2)),
            "alpha/min": stats["min"],
            "alpha/max": stats["max"],
            "alpha/log_z": stats["log_z"] / stats["tokens"],
            "alpha/sequence_log_z": stats["log_z"] / stats["answers"],
        }
