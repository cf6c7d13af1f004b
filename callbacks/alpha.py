"""The exponent of π_θ in the mixture, and how far normalizing token by token is from normalizing answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.qstar.sequence_gap import log_densities, sequence_gaps
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import row_log_weights
from .reductions import MAX, MIN, mean_of, present, widen


class AlphaDiagnostic(RolloutDiagnostic):
    """α per context, the normalizer Z_α, and the gap to the mixture of whole answers.

    Over the T counted tokens of N answers:

    - `alpha/mean` = Σα/T;  `alpha/std` = √(Σα²/T − mean²), the population's;  `alpha/min`, `alpha/max`
    - `alpha/log_z` = Σ log Z_α/T, nats per token, ≤ 0; −log_z is the Chernoff information where α is KL-symmetric
    - `alpha/log_z_sum` = 1/N Σ_i Σ_t log Z_t, nats per answer. It grows with length and is no gap: for independent
      tokens it is below 0 though the token-wise mixture is then the mixture of whole answers.

    With S_i = Σ_t log (π_θ^α π_t^(1−α)/q)(y_t), which is Σ_t log Z_t unless temperature or truncation changed q, and
    the n answers of each of P prompts (prompts with one answer do not count; absent if all have one):

    - `alpha/sequence_gap` = 1/P Σ_x [log 1/n Σ_i e^{S_i} − 1/n Σ_i S_i + jackknife correction], nats per answer: the
      divergence D(q‖q_seq) = log E[e^S] − E[S] of the law that is sampled, q, from the *normalized* mixture of whole
      answers (restricted to the support of q, if q is truncated)
    - `alpha/sequence_gap_plug_in` = the same without the correction, a lower bound on average

    Both are too small on average, less so with more answers. If S is normal with standard deviation σ, n = 4 answers
    show this share of the true gap σ²/2 at σ = 0.3, 1, 2, 3: jackknife 0.99, 0.94, 0.79, 0.66; plug-in 0.74, 0.67,
    0.54, 0.44. If the two differ by much, draw more answers per prompt before believing either.

    Args:
        prog_bar: show `alpha/mean` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("alpha/mean",)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        mask, alpha = rollout.completion_mask, widen(rollout.alpha)
        if mask.numel() == 0:  # amax of nothing is an error
            return
        log_z, answers = row_log_weights(rollout.log_z, mask)  # a masked sum over time, here of log Z_t
        self.add("tokens", mask.sum())
        self.add("answers", answers.sum())
        self.add("alpha", masked_sum(alpha, mask))
        self.add("alpha_squares", masked_sum(alpha.square(), mask))
        self.add("max", torch.where(mask, alpha, -torch.inf).amax(), MAX)
        self.add("min", torch.where(mask, alpha, torch.inf).amin(), MIN)
        self.add("log_z", log_z.sum())
        policy, target = widen(rollout.policy_logprobs), widen(rollout.target_logprobs)
        densities = log_densities(policy, target, widen(rollout.behavior_logprobs), alpha, mask)
        gaps = sequence_gaps(densities, rollout.prompt_index, len(rollout.prompts), answers)
        self.add("gap_prompts", gaps.counted_mask.sum())
        self.add("gap", gaps.jackknife.sum())
        self.add("gap_plug_in", gaps.plug_in.sum())

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        mean = mean_of(stats, "alpha", "tokens")
        if mean is None:
            return {}
        gaps = {
            "alpha/sequence_gap": mean_of(stats, "gap", "gap_prompts"),
            "alpha/sequence_gap_plug_in": mean_of(stats, "gap_plug_in", "gap_prompts"),
        }
        return present(gaps) | {
            "alpha/mean": mean,
            "alpha/std": math.sqrt(max(0.0, stats["alpha_squares"] / stats["tokens"] - mean**2)),
            "alpha/min": stats["min"],
            "alpha/max": stats["max"],
            "alpha/log_z": stats["log_z"] / stats["tokens"],
            "alpha/log_z_sum": stats["log_z"] / stats["answers"],
        }
