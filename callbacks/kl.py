"""How far π_θ has moved from π_init, and how far q is from π_θ and π_t."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from qstar_pl.qstar.masking import masked_sum
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import exp, row_log_weights
from .reductions import LOGSUMEXP, mean_of, present, widen


class KLDiagnostic(RolloutDiagnostic):
    """Divergences between the distributions of a step.

    The answers come from q, not from π_θ, so the plain mean of log π_θ/π_init over them estimates no divergence (and
    can be negative). Each token's estimate is ρ − 1 − log ρ with ρ = π_init/π_θ: its mean under π_θ is the
    divergence of that context, and it is never negative (Schulman, "Approximating KL divergence", 2020, k3). With
    raw weights w_i = Π_t π_θ/q of whole answers, u = π_θ/q of single tokens, T counted tokens:

    - `kl/policy_reference` = Σ_i w_i Σ_t (ρ − 1 − log ρ) / Σ_i w_i, nats per answer: the self-normalized estimate of
      D(π_θ‖π_init) of whole answers. Consistent, and as noisy as `weights/ess_fraction` is small.
    - `kl/policy_reference_token` = 1/T Σ u (ρ − 1 − log ρ), nats per token: D(π_θ‖π_init) of the next token, averaged
      over the contexts that q visits instead of π_θ's; unbiased for each context and of low variance.
    - `kl/behavior_policy`, `kl/behavior_target` = 1/T Σ D(q‖π_θ), 1/T Σ D(q‖π_t), exact over the vocabulary
    - `kl/gap` = |`kl/behavior_policy` − `kl/behavior_target`|: 0 where α is KL-symmetric

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout, log_weights = report.weighted.scored.rollout, widen(report.weighted.log_weights)
        mask = rollout.completion_mask
        self.add("tokens", mask.sum())
        self.add("behavior_policy", masked_sum(widen(rollout.kl_behavior_policy), mask))
        self.add("behavior_target", masked_sum(widen(rollout.kl_behavior_target), mask))
        # log π_θ of the policy that the weights belong to, even where it has moved on since the rollout.
        policy_logprobs = widen(rollout.behavior_logprobs) + log_weights
        log_ratio = torch.where(mask, widen(report.reference_logprobs) - policy_logprobs, 0.0)
        estimate = (log_ratio.expm1() - log_ratio).clamp_min(0.0)  # rounding may leave −1e−32
        row_weights, answers = row_log_weights(log_weights, mask)
        # In logarithms, since w spans more orders of magnitude than a float (the estimate is never negative). Where
        # w = 0, log_ratio is +inf and the estimate NaN: such a row counts for nothing.
        none = -torch.inf
        row_weights = torch.where(answers, row_weights, none)
        row_totals = torch.where(row_weights == none, none, row_weights + estimate.sum(-1).log())
        token_totals = torch.where(mask & (log_weights > none), log_weights + estimate.log(), none)
        self.add("log_weight", row_weights.logsumexp(0), LOGSUMEXP)
        self.add("log_policy_reference", row_totals.logsumexp(0), LOGSUMEXP)
        self.add("log_policy_reference_token", token_totals.flatten().logsumexp(0), LOGSUMEXP)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        to_policy = mean_of(stats, "behavior_policy", "tokens")
        to_target = mean_of(stats, "behavior_target", "tokens")
        if to_policy is None or to_target is None:
            return {}
        covered = stats["log_weight"] != -torch.inf
        return present(
            {
                "kl/policy_reference": exp(stats["log_policy_reference"] - stats["log_weight"]) if covered else None,
                "kl/policy_reference_token": exp(stats["log_policy_reference_token"]) / stats["tokens"],
                "kl/behavior_policy": to_policy,
                "kl/behavior_target": to_target,
                "kl/gap": abs(to_policy - to_target),
            }
        )
