"""A policy and its critic, run together."""

import torch
from torch import Tensor

from qstar_pl.methods.bases.several_steps import SeveralStepsModule
from qstar_pl.models import ValueHead
from qstar_pl.models.logprobs import logits_to_logprobs_and_entropy
from qstar_pl.types import PromptBatch, Rollout


class ActorCriticModule(SeveralStepsModule):
    """Log-probabilities, entropy and values of one forward pass, before and while π_θ moves."""

    has_critic = True
    entropy_coefficient: float = 0.0
    """Reward of one nat of entropy per token; at 0 no gradient of the entropy is kept."""

    def build_models(self) -> None:
        """See `RolloutModule.build_models`; also makes the critic, a head on the policy's last hidden state."""
        super().build_models()
        if self.advantage.critic:
            self.critic = ValueHead(self.policy.config.get_text_config().hidden_size)

    def outputs(
        self, prompts: PromptBatch, prompt_index: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return log π_θ(y_t), entropy and V(x, y_<t) [rows, time] of one forward pass; without a critic V = 0."""
        logits, hidden = self.policy_tokens.completion_states(prompts, prompt_index, ids, mask)
        logprobs, entropy = logits_to_logprobs_and_entropy(
            logits, ids, mask, entropy_gradient=self.entropy_coefficient != 0
        )
        values = self.critic(hidden) if self.advantage.critic else torch.zeros_like(logprobs)
        return logprobs, entropy, torch.where(mask, values, 0.0)

    @torch.no_grad()
    def old_outputs(self, rollout: Rollout, minibatches: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return log π_old and V_old [rows, time].

        The passes have the rows and shapes of the first epoch's, so that ρ is 1 to the last bit in the first minibatch;
        log π_old from the decode loop, with its cache, would differ in rounding.
        """
        logprobs, values = torch.zeros_like(rollout.policy_logprobs), torch.zeros_like(rollout.policy_logprobs)
        for rows in (rows for minibatch in minibatches for rows in self.split(minibatch)):
            ids, mask = rollout.completion_ids[rows], rollout.completion_mask[rows]
            logprobs[rows], _, values[rows] = self.outputs(rollout.prompts, rollout.prompt_index[rows], ids, mask)
        return logprobs, values
