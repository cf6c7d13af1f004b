"""Reinforcement learning on samples of the geometric mixture q*."""

from typing import Any

from qstar_pl.methods.rollout_module import RolloutModule
from qstar_pl.qstar.losses import policy_gradient_loss
from qstar_pl.rollout.logprobs import rollout_logprobs
from qstar_pl.types import LossReport, PromptBatch, WeightedRollout


class QStar(RolloutModule):
    """Policy gradient on answers drawn from q = π_θ^α π_t^(1−α)/Z, with α per token from KL symmetry by default.

    1. Draw `samples_per_prompt` answers from q, with exact log π_θ, log π_t and log q of every token.
    2. Reward each; subtract kl_coefficient · log π_θ/π_init; subtract the mean of the prompt's other answers.
    3. Weigh by π_θ/q, so that the gradient is π_θ's own although the samples are q's.
    4. loss = mean over answers of −Σ_t w A log π_θ(y_t).

    One gradient step per rollout: there is no trust region, and π_θ in the weights is the policy being differentiated.
    """

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One rollout, one gradient."""
        rollout = self.draw(batch)
        completions = self.decode(rollout)
        reference_logprobs = self.reference_logprobs(rollout)
        weighted = self.weigh(self.score(rollout, completions), reference_logprobs)
        report = self.loss(weighted)
        return self.step_output(self.rollout_report(weighted, report, reference_logprobs, completions), report.loss)

    def loss(self, weighted: WeightedRollout) -> LossReport:
        """Return the surrogate whose gradient is the weighted policy gradient."""
        rollout = weighted.scored.rollout
        logprobs = rollout_logprobs(self.policy_tokens, rollout)
        loss = policy_gradient_loss(logprobs, weighted.weights, weighted.advantages, rollout.completion_mask).mean()
        return LossReport(loss=loss, terms={})
