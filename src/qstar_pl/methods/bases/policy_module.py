"""A method that trains a policy: its models, what `validate` and `test` report of it, and what `predict` returns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.data import RLHFDataModule
from qstar_pl.data.records import make_records
from qstar_pl.distributed.placing import gathered_for, sampling_from
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import (
    POLICY_METRICS,
    AnswerMetric,
    Answers,
    ComparisonMetric,
    Comparisons,
    DemonstrationMetric,
    Demonstrations,
    Drawing,
    Facts,
    Metric,
)
from qstar_pl.methods.bases.answer_memory import AnswerMemory
from qstar_pl.methods.bases.redrawing import Redrawing
from qstar_pl.methods.bases.rlhf_module import RLHFModule
from qstar_pl.models import Capabilities, LanguageModel, Pretrained
from qstar_pl.models.endings import add_ends
from qstar_pl.models.logprobs import completion_logprobs
from qstar_pl.models.reference import Reference, usual_reference
from qstar_pl.models.source import ModelSource
from qstar_pl.models.text import completion_texts
from qstar_pl.qstar.preferences import AnswerLogprobs, PairLogprobs
from qstar_pl.rewards import GoldReward, Reward, RewardModelReward
from qstar_pl.rollout.absent import divergence_along
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.samplers.sampler import built
from qstar_pl.samplers.single import draws_policy
from qstar_pl.targets.target import Target
from qstar_pl.training.judges import Judges, settle
from qstar_pl.training.lengths import evaluates
from qstar_pl.training.non_finite import NonFinite, Stop
from qstar_pl.types import AnsweredPrompts, DemonstrationBatch, PreferenceBatch, PromptBatch, Rollout


class PolicyModule(RLHFModule):
    """A policy π_θ, its frozen start π_init and the rewards of its answers, measured alike by every method.

    `validate` and `test` report its `metrics` under `val/` or `test/`. Answers are drawn with fixed seeds, from π_θ
    unless `evaluation_sampler` says otherwise; a pair's margin is how much more log-probability over π_init its
    preferred answer has gained than the other.
    """

    policy: PreTrainedModel
    reference: PreTrainedModel

    def __init__(
        self,
        policy: ModelSource = Pretrained("tiny/policy"),
        reference: Reference | None = None,
        reward: Reward | None = RewardModelReward(),
        gold: Reward | None = GoldReward(),
        evaluation_sampler: Sampler = PolicySampler(),
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        on_non_finite: NonFinite = Stop(),
        metrics: list[Metric] = POLICY_METRICS,
        gradient_checkpointing: bool = False,
        torch_compile: bool | str = False,
    ) -> None:
        """Describe the models; nothing is loaded yet.

        Args:
            policy: where π_θ starts; the frozen reference π_init is the same model.
            reference: where π_init has its weights: OwnCopy, a second copy; AdapterOff, those of a LoRA policy without
                its adapters. null: AdapterOff where the policy is LoRA with earlier=merge and no LaggedReference moves
                π_init, else OwnCopy. The numbers are the same.
            reward: the learned ("proxy") reward. RL methods maximize it; others only report it, and need none. By
                default the tiny world's in the tiny world, elsewhere the one that the data's adapter suggests; without
                one, methods that need a reward ask for it.
            gold: the true reward, only ever reported, so that over-optimization of the proxy can be seen; None: none.
                By default the tiny world's, in the tiny world alone.
            evaluation_sampler: how `validate`, `test` and `predict` draw answers; PolicySampler where there is no π_t.
            optimizer: torch optimizer.
            lr_scheduler: torch schedule, stepped once per optimizer step.
            on_non_finite: Stop at the first step whose rewards, loss or gradient are not finite, or Skip such steps.
            metrics: what `validate` and `test` report; `metrics+=` adds to it.
            gradient_checkpointing: run each block's forward pass again in the backward pass, and keep only what lies
                between blocks: the same numbers with less memory, in about a third more time.
            torch_compile: compile the blocks of what trains; true: by torch's inductor; or the name of another backend.
                Sampling is not compiled, and numbers differ by rounding.

        """
        super().__init__(
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            on_non_finite=on_non_finite,
            metrics=metrics,
            gradient_checkpointing=gradient_checkpointing,
            torch_compile=torch_compile,
        )
        self.check_evaluation_sampler(evaluation_sampler)
        if reference is not None:
            reference.check(policy)
        self.policy_source = policy
        self.reference_source = reference
        self.reward = reward
        self.gold = gold
        self.evaluation_sampler = evaluation_sampler
        self.redrawing = Redrawing()
        self.reference_memory = AnswerMemory()
        self.policy_memory = AnswerMemory()
        self._settled_for: tuple[str | None, RLHFDataModule | None] | None = None

    @property
    def learns_from_reward(self) -> bool:
        """Whether training is impossible without `reward`."""
        return False

    def check_evaluation_sampler(self, sampler: Sampler) -> None:
        """Raise UserError unless it draws from π_θ alone, where there is no π_t."""
        if sampler.needs_target:
            raise UserError(
                f"evaluation_sampler must be PolicySampler for {type(self).__name__}, which has no π_t, got "
                f"{type(sampler).__name__}"
            )

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

    def trained_models(self) -> list[nn.Module]:
        """See `RLHFModule.trained_models`."""
        return [self.policy]

    def frozen_parts(self) -> tuple[str, ...]:
        """See `RLHFModule.frozen_parts`."""
        return ("reference", "reward", "gold", "sampler_models")

    def configure_callbacks(self) -> Sequence[Callback]:
        """See `RLHFModule.configure_callbacks`; in the hook that comes before all, samplers say what they lack."""
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        for sampler in self.samplers() if fitting else [self.evaluation_sampler]:
            sampler.require()
        return super().configure_callbacks()

    def build_models(self) -> None:
        """Load π_θ, π_init and the rewards."""
        self.settle_judges()
        self.policy = self.policy_source.load()
        self.reference = self.held_reference().load(self.policy_source, self.policy)
        for model in (self.policy, self.reference):
            add_ends(model, self.answer_ends())  # what ends the data's answers must end sampled ones
        for judge in (self.reward, self.gold):
            if judge is not None:
                judge.build(self.tokenizer)
        owned = [model for sampler in self.samplers() for model in built(sampler, self.reference, self.tokenizer)]
        if owned:  # registered, so that they move to the module's device; samplers are plain dataclasses
            self.sampler_models = nn.ModuleList(owned)

    def teardown(self, stage: str) -> None:
        """Let go of what samplers have started."""
        super().teardown(stage)
        for sampler in self.samplers():
            sampler.close()

    def held_reference(self) -> Reference:
        """Return where π_init has its weights, as asked for or as is usual."""
        return self.reference_source or usual_reference(self.policy_source, moves=self.moves_reference())

    def moves_reference(self) -> bool:
        """Return whether a callback moves π_init's weights."""
        return self._reference_mover() is not None

    def _reference_mover(self) -> str | None:
        """Return the name of the callback that moves π_init's weights; None: they stay."""
        # `_trainer`, since Lightning's property `trainer` raises where there is none.
        callbacks = [] if self._trainer is None else self.trainer.callbacks  # type: ignore[attr-defined]
        return next((type(one).__name__ for one in callbacks if getattr(one, "moves_reference", False)), None)

    def samplers(self) -> list[Sampler]:
        """Return what draws answers, each once; `build_models` loads their models."""
        return [self.evaluation_sampler]

    def settle_judges(self) -> None:
        """Choose the rewards that were left to their defaults, now that the data is known; see `settle`."""
        # `_trainer`, since Lightning's property `trainer` raises where there is none.
        training = type(self).__name__ if self._trainer is not None and self.trainer.training else None
        if self._settled_for == (training, self.data):
            return
        judges = settle(
            Judges(self.reward, self.gold),
            self.policy_source,
            self.data,
            training=training,
            optional=not self.learns_from_reward,
        )
        self.reward, self.gold = judges.reward, judges.gold
        self._settled_for = (training, self.data)

    def facts(self) -> Facts:
        """See `RLHFModule.facts`; the rewards are settled first."""
        self.settle_judges()
        judges = {"proxy": self.reward, "gold": self.gold}
        rewards = frozenset(name for name, one in judges.items() if one is not None)
        return replace(super().facts(), rewards=rewards, moved_by=self._reference_mover())

    def score_answers(self, rollout: Rollout, completions: list[str]) -> dict[str, Tensor]:
        """Return the rewards [rows] of every judge there is: "proxy" and "gold"."""
        judges = {"proxy": self.reward, "gold": self.gold}
        return {name: judge.score(rollout, completions) for name, judge in judges.items() if judge is not None}

    def on_train_start(self) -> None:
        """Switch dropout on: Hugging Face loads models in eval mode, and Lightning keeps the mode that it finds."""
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
        return completion_texts(self.tokenizer, rollout.completion_ids, rollout.completion_mask)

    def on_validation_epoch_start(self) -> None:
        """Forget what π_θ said with other weights."""
        self.policy_memory.forget()

    def policy_logprobs(self, prompts: PromptBatch, ids: Tensor, mask: Tensor) -> Tensor:
        """Return what π_θ says [prompts, time] of one given answer per prompt."""
        index = torch.arange(len(prompts), device=ids.device)

        def find() -> Tensor:
            return completion_logprobs(self.policy_tokens, prompts, index, ids, mask)

        validating = self._trainer is not None and self.trainer.validating and not torch.is_grad_enabled()
        # With several processes one could remember what another has to compute, in lockstep with all.
        kept = validating and self.trainer.world_size == 1
        return self.policy_memory.logprobs(prompts, ids, mask, find) if kept else find()

    def answer_logprobs(self, prompts: PromptBatch, ids: Tensor, mask: Tensor) -> AnswerLogprobs:
        """Return what π_θ and π_init say of one given answer [prompts, time] per prompt."""
        policy = self.policy_logprobs(prompts, ids, mask)
        index = torch.arange(len(prompts), device=ids.device)
        with torch.no_grad():

            def find() -> Tensor:
                return completion_logprobs(self.reference_tokens, prompts, index, ids, mask)

            again = self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING and self.trainer.validating
            kept = again and not self.moves_reference()
            reference = self.reference_memory.logprobs(prompts, ids, mask, find) if kept else find()
        return AnswerLogprobs(policy, reference, mask)

    def pair_logprobs(self, batch: PreferenceBatch) -> PairLogprobs:
        """Return what π_θ and π_init say of both answers of each pair."""
        return PairLogprobs(
            chosen=self.answer_logprobs(batch.prompts, batch.chosen_ids, batch.chosen_mask),
            rejected=self.answer_logprobs(batch.prompts, batch.rejected_ids, batch.rejected_mask),
        )

    @torch.no_grad()
    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> AnsweredPrompts | None:
        """See `RLHFModule.evaluate`."""
        match batch:
            case PromptBatch():
                return self._measure_answers(batch)
            case DemonstrationBatch():
                of_data = [metric for metric in self.wanted() if isinstance(metric, DemonstrationMetric)]
                if of_data:  # no forward pass that no metric reads
                    logprobs = self.policy_logprobs(batch.prompts, batch.completion_ids, batch.completion_mask)
                    demonstrations = Demonstrations(batch, logprobs)
                    for metric in of_data:
                        self.metrics.measure(metric, demonstrations)
            case PreferenceBatch():
                of_pairs = [metric for metric in self.wanted() if isinstance(metric, ComparisonMetric)]
                if of_pairs:
                    comparisons = self.comparisons(batch)
                    for of_pair in of_pairs:
                        self.metrics.measure(of_pair, comparisons)
        return None

    def _measure_answers(self, prompts: PromptBatch) -> AnsweredPrompts | None:
        answered: dict[Drawing, Answers] = {}  # one rollout per distinct drawing, for all its metrics
        for metric in self.wanted():
            if isinstance(metric, AnswerMetric):
                drawing = metric.drawing
                if drawing not in answered:
                    answered[drawing] = self.answers(prompts, drawing)
                with gathered_for(self, metric.models()):
                    self.metrics.measure(metric, answered[drawing])
        usual = answered.get(Drawing())
        if usual is None:
            return None
        tokens = usual.rollout.completion_mask.sum(-1)
        return AnsweredPrompts(usual.examples, usual.texts, tokens, usual.scored)

    def answers(self, prompts: PromptBatch, drawing: Drawing = Drawing()) -> Answers:
        """Return the policy's answers to the prompts, for metrics to read."""
        rollout = self.draw_for_evaluation(prompts, drawing)
        texts = self.decode(rollout)
        return Answers(
            rollout,
            texts,
            rewards=lambda: self.score_answers(rollout, texts),
            divergences=lambda: self._divergences(rollout, drawing),
            divergences_from=lambda other: self._divergences_from(rollout, other),
            redraw=lambda other, own: self._redrawn(other or self.reference_tokens, own or prompts, drawing),
        )

    def comparisons(self, batch: PreferenceBatch) -> Comparisons:
        """Return what the policy makes of the pairs, for metrics to read."""
        return Comparisons(batch, margins=self.pair_logprobs(batch).margins())

    def draw_for_evaluation(self, prompts: PromptBatch, drawing: Drawing = Drawing()) -> Rollout:
        """Draw answers to every prompt, always with the same seed.

        Two validations therefore differ by the policy, not by sampling noise. Where π_θ alone is sampled, the rollout's
        "target" is π_init, which then reads the answers in the same pass.
        """
        target = self.evaluation_target()
        # Every model that runs inside the block is named: sharded ones are gathered for it.
        asked = [self.reference] if target is None else target.decoding_models()
        with sampling_from(self, [self.policy, *asked, *self.evaluation_sampler.models()]) as pace:
            return drawing.sampler(self.evaluation_sampler).draw(
                prompts,
                self.policy_tokens,
                self.reference_tokens if target is None else target,
                samples=drawing.samples,
                seed=self.sampling_seed,
                pace=pace,
            )

    def evaluation_target(self) -> Target | None:
        """Return the π_t that `evaluation_sampler` draws from; None: it draws from π_θ alone."""
        return None

    def _redrawn(self, other: LanguageModel, prompts: PromptBatch, drawing: Drawing) -> list[str]:
        """Return what another model answers by itself, drawn as `evaluation_sampler` draws."""
        how = drawing.sampler(self.evaluation_sampler)
        names = ("max_new_tokens", "temperature", "top_k", "top_p")
        sampler = PolicySampler(**{name: getattr(how, name) for name in names})
        samples, seed = drawing.samples, self.sampling_seed
        return self.redrawing.texts(self, other, prompts, sampler, samples=samples, seed=seed)

    def _divergences(self, rollout: Rollout, drawing: Drawing) -> Tensor:
        """Return D(π_θ‖π_init) [rows, time] at every token of the answers, whatever law they were drawn from."""
        if self.evaluation_target() is None and draws_policy(drawing.sampler(self.evaluation_sampler)):
            # With q = π_θ and π_init in the target's place, the sampler's exact D(q‖π_t) is D(π_θ‖π_init).
            return rollout.kl_behavior_target
        return self._divergences_from(rollout, self.reference_tokens)

    def _divergences_from(self, rollout: Rollout, other: LanguageModel) -> Tensor:
        with gathered_for(self, [self.policy, other.model]):
            return divergence_along(rollout, self.policy_tokens, other)

    def predict_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> list[Mapping[str, Any]]:
        """Return one record per prompt as `qstar generate` makes them, drawn as for `validate`, with its rewards."""
        answers = self.answers(batch)
        scores = {name: rewards.tolist() for name, rewards in answers.rewards.items()}
        has_target = self.evaluation_target() is not None
        texts = [text.strip() for text in answers.texts]
        records = make_records(answers.rollout, texts, samples=1, target=has_target, tokens=False, constants={})
        return [
            record | {f"reward_{name}": values[row] for name, values in scores.items()}
            for row, record in enumerate(records)
        ]
