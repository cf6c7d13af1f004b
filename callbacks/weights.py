"""Importance weights π_θ/q: raw, as applied, and the mass that no weight can reach."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import add_log_weights, row_log_weights, weight_metrics
from .reductions import mean_of, widen


class WeightsDiagnostic(RolloutDiagnostic):
    """How much the answers drawn from q are worth as answers from π_θ.

    Raw, of whole answers: w_i = exp Σ_t log π_θ(y_t)/q(y_t) over the counted tokens, i = 1…N over all ranks,
    micro-steps and steps of the window:

    - `weights/mean` = Σw/N, near 1 if q covers π_θ;  `weights/max`, `weights/min`
    - `weights/ess_fraction` = (Σw)² / (N Σw²), in (0, 1]: the share of the sample that is left
    - `weights/cv` = √(1/ess_fraction − 1): the (population) coefficient of variation
    - `weights_token/ess_fraction` = the same with each token's own weight, pooled over tokens. It is the *optimistic*
      number (0.99 where answers have 0.18): right only for a loss with token-level weights.
    - `weights/uncovered_mass` = mean over counted tokens of Σ_y π_θ(y) over the tokens with q(y) = 0, whose
      contribution no weight restores; 0 unless q is truncated.

    As applied (after clipping, normalizing…), which is what the loss saw:
    `weights_applied/mean, max, min, cv, ess_fraction`, of one weight per answer if the weights are constant along every
    answer, otherwise of one weight per token. Of the same:

    - `weights/clipped_fraction` = share of the weights that a bound of the treatment changed; 0 without bounds
    - `weights/floor_fraction` = share that a bound raised: answers (tokens) that π_θ would hardly give, and that the
      gradient follows all the same

    Σw and Σw² are kept as logarithms and reduced before any ratio is formed, because the mean of the ESS of parts
    over-reports that of the whole. A weight beyond the range of a float is logged as inf.

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        mask = rollout.completion_mask
        add_log_weights(self, "raw", *row_log_weights(report.weighted.log_weights, mask))
        add_log_weights(self, "token", report.weighted.log_weights, mask)
        self._add_applied(widen(report.weighted.weights), report.weighted.clipping, mask)
        self.add("tokens", mask.sum())
        self.add("uncovered", masked_sum(widen(rollout.uncovered_mass), mask))

    def _add_applied(self, weights: Tensor, clipping: Tensor, mask: Tensor) -> None:
        if weights.numel() == 0:
            return
        # Whether all answers have one weight each is known only from the totals, so both sets are kept until `compute`.
        clipped, raised = clipping != 0, clipping < 0
        highest = torch.where(mask, weights, -torch.inf).amax(-1)
        lowest = torch.where(mask, weights, torch.inf).amin(-1)
        counted = mask.any(-1)
        self.add("varying_answers", (counted & (highest > lowest)).sum())
        self.add("applied_answer/clipped", (clipped & mask).any(-1).sum())
        self.add("applied_answer/floor", (raised & mask).any(-1).sum())
        self.add("applied_token/clipped", (clipped & mask).sum())
        self.add("applied_token/floor", (raised & mask).sum())
        # Where an answer's weights are constant, the highest is its weight. 1 stands in where nothing counts.
        add_log_weights(self, "applied_answer", torch.where(counted, highest, 1.0).log(), counted)
        add_log_weights(self, "applied_token", torch.where(mask, weights, 1.0).log(), mask)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        applied = "applied_token" if stats.get("varying_answers", 0.0) > 0 else "applied_answer"
        metrics = {f"weights/{key}": value for key, value in weight_metrics(stats, "raw").items()}
        metrics |= {f"weights_applied/{key}": value for key, value in weight_metrics(stats, applied).items()}
        for name in ("clipped", "floor"):
            if (share := mean_of(stats, f"{applied}/{name}", f"{applied}/count")) is not None:
                metrics[f"weights/{name}_fraction"] = share
        token = weight_metrics(stats, "token")
        if "ess_fraction" in token:
            metrics["weights_token/ess_fraction"] = token["ess_fraction"]
        if (uncovered := mean_of(stats, "uncovered", "tokens")) is not None:
            metrics["weights/uncovered_mass"] = uncovered
        return metrics
