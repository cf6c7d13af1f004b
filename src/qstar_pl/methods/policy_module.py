"""A method that trains a policy: the models around it and what `validate` and `test` report."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from jsonargparse import lazy_instance
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.methods.base import RLHFModule
from qstar_pl.methods.metrics import EvaluationMetrics
from qstar_pl.models import Pretrained
from qstar_pl.models.freeze import freeze
from qstar_pl.models.source import ModelSource
from qstar_pl.qstar.logprobs import sequence_logprobs
from qstar_pl.rewards import GoldReward, Reward, RewardModelReward
from qstar_pl.rollout import LanguageModel
from qstar_pl.rollout.logprobs import completion_logprobs
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch, Rollout


class PolicyModule(RLHFModule):
    """A policy π_θ, its frozen start π_init, and the rewards that its answers are judged by.

    `validate` and `test` sample one answer per prompt from π_θ with fixed seeds and report, under `val/` or `test/`:
    `reward_proxy`, `reward_gold` (mean per answer), `kl_policy_reference` (Σ_t D(π_θ‖π_init) along the answer, exact
    over the vocabulary, nats per answer), `completion_length` (tokens), `ended_fraction`, `perplexity` (exp of mean
    nats per token of the demonstrations), `preference_accuracy` (share of pairs whose preferred answer gained more
    log-probability over π_init; a tie counts one half).
    """

    frozen: ClassVar[tuple[str, ...]] = ("reference", "reward", "gold")
    policy: PreTrainedModel
    reference: PreTrainedModel

    def __init__(
        self,
        policy: ModelSource = Pretrained("tiny/policy"),
        reward: Reward | None = lazy_instance(RewardModelReward),
        gold: Reward | None = lazy_instance(GoldReward),
        evaluation_sampler: Sampler = PolicySampler(),
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        """Describe the models; nothing is loaded yet.

        Args:
            policy: where π_θ starts; the frozen reference π_init is the same model.
            reward: the learned ("proxy") reward. RL methods maximise it; others only report it, and need none.
            gold: the true reward, only ever reported, so that over-optimisation of the proxy can be seen; None: none.
            evaluation_sampler: how `validate` and `test` draw answers.
            optimizer: torch optimiser.
            lr_scheduler: torch schedule, stepped once per optimiser step.

        """
        super().__init__(optimizer=optimizer, lr_scheduler=lr_scheduler)
        self.policy_source = policy
        self.reward = reward
        self.gold = gold
        self.evaluation_sampler = evaluation_sampler
        self.metrics = EvaluationMetrics()

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The policy's tokenizer, which the data is encoded with."""
        return self.policy_source.tokenizer()

    def configure_model(self) -> None:
        """Load π_θ, π_init and the rewards; a second call (Lightning makes one per stage) changes nothing."""
        if "policy" in self._modules:
            return
        self.policy = self.policy_source.load()
        self.reference = freeze(self.policy_source.load())
        for judge in (self.reward, self.gold):
            if judge is not None:
                judge.build(self.tokenizer)

    def score_answers(self, rollout: Rollout, completions: list[str]) -> dict[str, Tensor]:
        """Return the rewards [rows] of every judge there is: "proxy" and "gold"."""
        judges = {"proxy": self.reward, "gold": self.gold}
        return {name: judge.score(rollout, completions) for name, judge in judges.items() if judge is not None}

    def on_train_start(self) -> None:
        """Hugging Face loads in eval mode and Lightning leaves it so: dropout that was asked for must be on."""
        self.policy.train()

    @property
    def policy_tokens(self) -> LanguageModel:
        """π_θ as a distribution over next tokens."""
        return LanguageModel(self.policy, self.tokenizer)

    @property
    def reference_tokens(self) -> LanguageModel:
        """π_init as a distribution over next tokens."""
        return LanguageModel(self.reference, self.tokenizer)

    def decode(self, rollout: Rollout) -> list[str]:
        """Return the texts of the answers, without special tokens."""
        ids = [row[mask].tolist() for row, mask in zip(rollout.completion_ids, rollout.completion_mask, strict=True)]
        return [str(text) for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def log_ratios(self, prompts: PromptBatch, ids: Tensor, mask: Tensor) -> Tensor:
        """Return log π_θ/π_init [prompts, time] of one given answer per prompt, in nats."""
        index = torch.arange(len(prompts), device=ids.device)
        policy = completion_logprobs(self.policy_tokens, prompts, index, ids, mask)
        with torch.no_grad():
            reference = completion_logprobs(self.reference_tokens, prompts, index, ids, mask)
        return policy - reference

    @torch.no_grad()
    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> None:
        """Add one batch to the metrics; what is measured follows from the batch's type."""
        match batch:
            case PromptBatch():
                self._evaluate_answers(batch)
            case DemonstrationBatch():
                index = torch.arange(len(batch), device=batch.completion_ids.device)
                logprobs = completion_logprobs(
                    self.policy_tokens, batch.prompts, index, batch.completion_ids, batch.completion_mask
                )
                self.metrics.nats_per_token.update(-logprobs[batch.completion_mask])
            case PreferenceBatch():
                chosen = self.log_ratios(batch.prompts, batch.chosen_ids, batch.chosen_mask)
                rejected = self.log_ratios(batch.prompts, batch.rejected_ids, batch.rejected_mask)
                gains = sequence_logprobs(chosen, batch.chosen_mask), sequence_logprobs(rejected, batch.rejected_mask)
                self.metrics.update_preferences(gains[0] - gains[1])

    def _evaluate_answers(self, prompts: PromptBatch) -> None:
        # The same seed at every validation: differences between two of them are the policy's, not the noise's.
        rollout = self.evaluation_sampler.draw(
            prompts, self.policy_tokens, self.reference_tokens, samples=1, seed=self.sampling_seed
        )
        completions = self.decode(rollout)
        for name, rewards in self.score_answers(rollout, completions).items():
            getattr(self.metrics, f"reward_{name}").update(rewards)
        # With π_init as its target and q = π_θ, the sampler's exact D(q‖π_t) is D(π_θ‖π_init).
        self.metrics.kl_policy_reference.update(rollout.kl_behavior_target.sum(-1))
        self.metrics.completion_length.update(rollout.completion_mask.sum(-1).float())
        self.metrics.ended_fraction.update(rollout.ended_mask.float())

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure one batch."""
        self.evaluate(batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure one batch."""
        self.evaluate(batch)

    def predict_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> list[Mapping[str, Any]]:
        """Return one answer of π_θ per prompt, with its rewards."""
        rollout = self.evaluation_sampler.draw(
            batch, self.policy_tokens, self.reference_tokens, samples=1, seed=self.sampling_seed
        )
        completions = self.decode(rollout)
        scores = {name: rewards.tolist() for name, rewards in self.score_answers(rollout, completions).items()}
        return [
            {
                "messages": [vars(turn) for turn in example.turns] + [{"role": "assistant", "content": text.strip()}],
                **{f"reward_{name}": values[row] for name, values in scores.items()},
            }
            for row, (example, text) in enumerate(zip(batch.examples, completions, strict=True))
        ]

    def on_validation_epoch_end(self) -> None:
        """Log what was measured."""
        self.log_dict(self.metrics.flush("val"))

    def on_test_epoch_end(self) -> None:
        """Log what was measured."""
        self.log_dict(self.metrics.flush("test"))
