"""A policy and its critic, run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.logprobs import logits_to_logprobs_and_entropy
from qstar_pl.models.value_head import ValueHead
from qstar_pl.types import PromptBatch, Rollout


@dataclass(frozen=True)
class ActorCritic:
    """Log-probabilities, entropy and values of one forward pass."""

    policy: LanguageModel
    critic: ValueHead | None
    """Reads the policy's last hidden state; None: all values are 0."""
    entropy_gradient: bool
    """Whether a gradient of the entropy is kept."""

    def outputs(
        self, prompts: PromptBatch, prompt_index: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return log π_θ(y_t), entropy and V(x, y_<t) [rows, time]."""
        logits, hidden = self.policy.completion_states(prompts, prompt_index, ids, mask)
        logprobs, entropy = logits_to_logprobs_and_entropy(logits, ids, mask, entropy_gradient=self.entropy_gradient)
        values = torch.zeros_like(logprobs) if self.critic is None else self.critic(hidden)
        return logprobs, entropy, torch.where(mask, values, 0.0)

    @torch.no_grad()
    def old_outputs(self, rollout: Rollout, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return log π_old and V_old [rows, time].

        Args:
            rollout: whose answers are read.
            parts: row numbers of each pass. With those of the first epoch's passes ρ is 1 to the last bit in the first
                minibatch; log π_old from the decode loop, with its cache, would differ in rounding.

        """
        logprobs, values = torch.zeros_like(rollout.policy_logprobs), torch.zeros_like(rollout.policy_logprobs)
        for rows in parts:
            ids, mask = rollout.completion_ids[rows], rollout.completion_mask[rows]
            logprobs[rows], _, values[rows] = self.outputs(rollout.prompts, rollout.prompt_index[rows], ids, mask)
        return logprobs, values
