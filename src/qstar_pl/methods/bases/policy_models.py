"""The models around a policy that is trained."""

from functools import cached_property
from typing import ClassVar

import torch
from jsonargparse import lazy_instance
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.methods.bases.rlhf_module import RLHFModule
from qstar_pl.models import Capabilities, LanguageModel, Pretrained
from qstar_pl.models.endings import add_ends
from qstar_pl.models.freeze import freeze
from qstar_pl.models.logprobs import completion_logprobs
from qstar_pl.models.source import ModelSource
from qstar_pl.models.text import continuation_texts
from qstar_pl.rewards import GoldReward, Reward, RewardModelReward
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.samplers.sampler import built
from qstar_pl.training.judges import Judges, settle
from qstar_pl.training.lengths import evaluates
from qstar_pl.training.non_finite import NonFinite, Stop
from qstar_pl.types import PromptBatch, Rollout


class PolicyModels(RLHFModule):
    """A policy π_θ, its frozen start π_init, and the rewards that its answers are judged by."""

    needs_reward: ClassVar[bool] = False
    """Whether training is impossible without `reward`."""
    has_target: ClassVar[bool] = False
    """Whether there is a π_t to sample from."""
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
        on_non_finite: NonFinite = Stop(),
    ) -> None:
        """Describe the models; nothing is loaded yet.

        Args:
            policy: where π_θ starts; the frozen reference π_init is the same model.
            reward: the learned ("proxy") reward. RL methods maximise it; others only report it, and need none. By
                default the tiny world's in the tiny world, elsewhere the one that the data's adapter suggests; without
                one, methods that need a reward ask for it.
            gold: the true reward, only ever reported, so that over-optimisation of the proxy can be seen; None: none.
                By default the tiny world's, in the tiny world alone.
            evaluation_sampler: how `validate`, `test` and `predict` draw answers; PolicySampler where there is no π_t.
            optimizer: torch optimiser.
            lr_scheduler: torch schedule, stepped once per optimiser step.
            on_non_finite: Stop at the first step whose rewards, loss or gradient are not finite, or Skip such steps.

        """
        super().__init__(optimizer=optimizer, lr_scheduler=lr_scheduler, on_non_finite=on_non_finite)
        if not self.has_target and not isinstance(evaluation_sampler, PolicySampler):
            raise UserError(
                f"evaluation_sampler must be PolicySampler for {type(self).__name__}, which has no π_t, got "
                f"{type(evaluation_sampler).__name__}"
            )
        self.policy_source = policy
        self.reward = reward
        self.gold = gold
        self.evaluation_sampler = evaluation_sampler
        self._settled_for: tuple[str | None, RLHFDataModule | None] | None = None

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The policy's tokenizer, which the data is encoded with."""
        return self.policy_source.tokenizer()

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the model and its tokenizer can do, as their files say it."""
        return self.policy_source.capabilities(self.tokenizer)

    def sources(self) -> dict[str, ModelSource]:
        """See `RLHFModule.sources`."""
        return {"model.policy": self.policy_source}

    def answer_lengths(self) -> dict[str, int]:
        """See `RLHFModule.answer_lengths`; `validate` and `test` draw answers too."""
        drawn = {"model.evaluation_sampler.max_new_tokens": self.evaluation_sampler.max_new_tokens}
        return super().answer_lengths() | (drawn if evaluates(self.trainer) else {})

    def frozen_parts(self) -> tuple[str, ...]:
        """See `RLHFModule.frozen_parts`."""
        return ("reference", "reward", "gold", "sampler_models")

    def build_models(self) -> None:
        """Load π_θ, π_init and the rewards."""
        self.settle_judges()
        self.policy = self.policy_source.load()
        self.reference = freeze(self.policy_source.load())
        for model in (self.policy, self.reference):
            add_ends(model, self.answer_ends())
        for judge in (self.reward, self.gold):
            if judge is not None:
                judge.build(self.tokenizer)
        owned = [model for sampler in self.samplers() for model in built(sampler, self.reference, self.tokenizer)]
        if owned:
            self.sampler_models = nn.ModuleList(owned)

    def samplers(self) -> list[Sampler]:
        """Return what draws answers, each once; `build_models` loads their models."""
        return [self.evaluation_sampler]

    def settle_judges(self) -> None:
        """Choose the rewards that were left to defaults, once the data are there; see `settle`."""
        training = type(self).__name__ if self._trainer is not None and self.trainer.training else None
        if self._settled_for == (training, self.data):
            return
        judges = settle(
            Judges(self.reward, self.gold),
            self.policy_source,
            self.data,
            training=training,
            optional=not self.needs_reward,
        )
        self.reward, self.gold = judges.reward, judges.gold
        self._settled_for = (training, self.data)

    @property
    def data(self) -> RLHFDataModule | None:
        """What the trainer trains or measures on, if it is this project's data module."""
        data = None if self._trainer is None else getattr(self.trainer, "datamodule", None)
        return data if isinstance(data, RLHFDataModule) else None

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
        return continuation_texts(self.tokenizer, ids)

    def log_ratios(self, prompts: PromptBatch, ids: Tensor, mask: Tensor) -> Tensor:
        """Return log π_θ/π_init [prompts, time] of one given answer per prompt, in nats."""
        index = torch.arange(len(prompts), device=ids.device)
        policy = completion_logprobs(self.policy_tokens, prompts, index, ids, mask)
        with torch.no_grad():
            reference = completion_logprobs(self.reference_tokens, prompts, index, ids, mask)
        return policy - reference
