"""What `validate` and `test` report of a policy, and what `predict` returns."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qstar_pl.data.records import make_records
from qstar_pl.distributed.placing import sampling_from
from qstar_pl.methods.bases.policy_models import PolicyModels
from qstar_pl.models.logprobs import demonstration_logprobs
from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.rollout.absent import divergence_along
from qstar_pl.targets.target import Target
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch, Rollout


class PolicyModule(PolicyModels):
    """A policy that is measured in the same way whatever method trains it.

    `validate` and `test` sample one answer per prompt with fixed seeds, from π_θ unless `evaluation_sampler` says
    otherwise, and report, under `val/` or `test/`: `reward_proxy`, `reward_gold` (mean per answer),
    `kl_policy_reference` (Σ_t D(π_θ‖π_init) along the answer, exact over the vocabulary, nats per answer),
    `completion_length` (tokens), `ended_fraction`, `perplexity` (exp of mean nats per token of the demonstrations),
    `preference_accuracy` (share of pairs whose preferred answer gained more log-probability over π_init; a tie counts
    one half).
    """

    @torch.no_grad()
    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> None:
        """Add one batch to the metrics; what is measured follows from the batch's type."""
        match batch:
            case PromptBatch():
                self._evaluate_answers(batch)
            case DemonstrationBatch():
                logprobs = demonstration_logprobs(self.policy_tokens, batch)
                self.metrics.nats_per_token.update(-logprobs[batch.completion_mask])
            case PreferenceBatch():
                chosen = self.log_ratios(batch.prompts, batch.chosen_ids, batch.chosen_mask)
                rejected = self.log_ratios(batch.prompts, batch.rejected_ids, batch.rejected_mask)
                gains = sequence_logprobs(chosen, batch.chosen_mask), sequence_logprobs(rejected, batch.rejected_mask)
                self.metrics.update_preferences(gains[0] - gains[1])

    def draw_for_evaluation(self, prompts: PromptBatch) -> Rollout:
        """Draw one answer per prompt, always with the same seed.

        Where π_θ alone is sampled, the rollout's "target" is π_init, which then reads the answers in the same pass.
        """
        target = self.evaluation_target()
        # The same seed at every validation: differences between two of them are the policy's, not the noise's.
        asked = [self.reference] if target is None else target.decoding_models()
        with sampling_from(self, [self.policy, *asked, *self.evaluation_sampler.models()]) as pace:
            return self.evaluation_sampler.draw(
                prompts,
                self.policy_tokens,
                self.reference_tokens if target is None else target,
                samples=1,
                seed=self.sampling_seed,
                pace=pace,
            )

    def evaluation_target(self) -> Target | None:
        """Return the π_t that `evaluation_sampler` draws from; None: it draws from π_θ alone."""
        return None

    def _divergences(self, rollout: Rollout) -> Tensor:
        """Return D(π_θ‖π_init) [rows, time] at every token of the answers."""
        if self.evaluation_target() is None:
            # With π_init as its target and q = π_θ, the sampler's exact D(q‖π_t) is D(π_θ‖π_init).
            return rollout.kl_behavior_target
        return divergence_along(rollout, self.policy_tokens, self.reference_tokens)

    def _evaluate_answers(self, prompts: PromptBatch) -> None:
        rollout = self.draw_for_evaluation(prompts)
        completions = self.decode(rollout)
        for name, rewards in self.score_answers(rollout, completions).items():
            getattr(self.metrics, f"reward_{name}").update(rewards)
        self.metrics.kl_policy_reference.update(self._divergences(rollout).sum(-1))
        self.metrics.completion_length.update(rollout.completion_mask.sum(-1).float())
        self.metrics.ended_fraction.update(rollout.ended_mask.float())

    def predict_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> list[Mapping[str, Any]]:
        """Return one record per prompt as `qstar generate` makes them, drawn as for `validate`, with its rewards."""
        rollout = self.draw_for_evaluation(batch)
        completions = self.decode(rollout)
        scores = {name: rewards.tolist() for name, rewards in self.score_answers(rollout, completions).items()}
        has_target = self.evaluation_target() is not None
        texts = [text.strip() for text in completions]
        records = make_records(rollout, texts, samples=1, target=has_target, tokens=False, constants={})
        return [
            record | {f"reward_{name}": values[row] for name, values in scores.items()}
            for row, record in enumerate(records)
        ]
