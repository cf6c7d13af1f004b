"""Supervised fine-tuning."""

from typing import Any

from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.models.logprobs import demonstration_logprobs
from qstar_pl.qstar.losses import likelihood_loss
from qstar_pl.types import DemonstrationBatch, StepReport


class SFT(PolicyModule):
    """Maximize the likelihood of demonstrations: loss = mean over answers of −Σ_t log π_θ(y_t), in nats per answer.

    Only answers (EOS included) are learned, never prompts. `loss/nats_per_token` is the same quantity per token.
    """

    batch_type = DemonstrationBatch

    def training_step(self, batch: DemonstrationBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the negative log-likelihood."""
        nats = likelihood_loss(demonstration_logprobs(self.policy_tokens, batch), batch.completion_mask)
        tokens = batch.completion_mask.sum()
        report = StepReport(
            loss=nats.mean(),
            terms={"nats_per_token": nats.sum() / tokens},
            samples=len(batch),
            tokens=int(tokens),
            counts={"nats_per_token": tokens},  # its mean over micro-batches is weighted by tokens
        )
        return self.step_output(report, nats.mean())
