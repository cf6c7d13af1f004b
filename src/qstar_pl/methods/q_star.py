"""Reinforcement learning on samples of the geometric mixture q*."""

from typing import Any

from torch import Tensor

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.models.logprobs import rollout_logprobs
from qstar_pl.qstar.losses import policy_gradient_loss
from qstar_pl.types import LossReport, PromptBatch, WeightedRollout


class QStar(RolloutModule):
    """Policy gradient on answers drawn from q = π_θ^α π_t^(1−α)/Z, with α per token from KL symmetry by default.

    1. Draw `samples_per_prompt` answers from q, with exact log π_θ, log π_t and log q of every token.
    2. Reward each; subtract kl_coefficient · log π_θ/π_init; subtract the mean of the prompt's other answers.
    3. Weigh by π_θ/q, treated as `weights` says.
    4. loss = mean over answers of −Σ_t w A log π_θ(y_t), and with `kl_placement` InLoss a term `loss/kl`.

    One gradient step per rollout: there is no trust region, and π_θ in the weights is the policy being differentiated.

    The default gradient is not exactly π_θ's: the weights are those of whole answers, Π_t π_θ/q, *clipped to [0.1, 10]*
    (`ClippedWeights`). That keeps the variance finite, and lets an answer that π_θ would hardly ever give
    count one tenth; the share of such answers is logged as `weights/floor_fraction`. On an enumerated pair with 38% of
    them the expected gradient had 1.07 of the true one in it (error 0.09); see `qstar_pl.qstar.weights` for all
    treatments.
    With `weights` RawWeights the expected gradient is exactly that of E_πθ[r] − kl_coefficient · D(π_θ‖π_init).
    """

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One rollout, one gradient."""
        return policy_gradient_step(self, batch)


def policy_gradient_step(method: RolloutModule, prompts: PromptBatch) -> dict[str, Any]:
    """Return what `training_step` must: the steps of `QStar`, whatever q the method samples from."""
    rollout = method.draw(prompts)
    completions = method.decode(rollout)
    reference_logprobs = method.reference_logprobs(rollout)
    weighted = method.weigh(method.score(rollout, completions), reference_logprobs)
    report = policy_gradient(method, weighted, reference_logprobs)
    return method.step_output(method.rollout_report(weighted, report, reference_logprobs, completions), report.loss)


def policy_gradient(method: RolloutModule, weighted: WeightedRollout, reference_logprobs: Tensor) -> LossReport:
    """Return the surrogate of the weighted policy gradient, with the price of divergence if it stands in the loss.

    `loss/kl` is the estimate of D(π_θ‖π_init), nats per answer, before its coefficient.
    """
    rollout, mask = weighted.scored.rollout, weighted.scored.rollout.completion_mask
    logprobs = rollout_logprobs(method.policy_tokens, rollout)  # once more, now with gradient
    loss = policy_gradient_loss(logprobs, weighted.weights, weighted.advantages, mask).mean()
    placement = method.kl_placement
    if not placement.in_loss:
        return LossReport(loss=loss, terms={})
    kl = placement.loss(method.kl_estimator, logprobs, reference_logprobs, weighted.weights, mask).mean()
    return LossReport(loss=loss + method.kl_coefficient * kl, terms={"kl": kl.detach()})
