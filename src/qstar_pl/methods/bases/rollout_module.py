"""A method that samples: from prompts to answers, rewards, weights and advantages."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.distributed.placing import sampling_from
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.methods.bases.drawing_ahead import DrawingAhead
from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.models.logprobs import rollout_logprobs
from qstar_pl.models.policy_base import PolicyBase, lending
from qstar_pl.models.source import ModelSource
from qstar_pl.qstar.advantages import Advantage, LeaveOneOut
from qstar_pl.qstar.kl_estimators import K1, KLEstimator
from qstar_pl.qstar.kl_placement import InReward, KLPlacement
from qstar_pl.qstar.mismatch import MismatchCorrection, OneFactor, TokenLogprobs
from qstar_pl.qstar.shaping import shape_rewards
from qstar_pl.qstar.weights import ClippedWeights, WeightTreatment
from qstar_pl.rewards.reward import Reward
from qstar_pl.rollout.drawn_laws import keeping_laws
from qstar_pl.samplers import GeometricSampler, Sampler
from qstar_pl.targets import Expert
from qstar_pl.targets.target import Target
from qstar_pl.training.finite_watch import REWARDS, TAMER, describe_rewards
from qstar_pl.training.judges import check_knows, check_target
from qstar_pl.training.lengths import evaluates
from qstar_pl.types import LossReport, PromptBatch, Rollout, RolloutReport, ScoredRollout, WeightedRollout


class RolloutModule(PolicyModule):
    """The stages that all sampling methods share; each wraps the one before (see `qstar_pl.types`)."""

    batch_type = PromptBatch

    def __init__(
        self,
        target: Target = Expert(),
        sampler: Sampler = GeometricSampler(),
        weights: WeightTreatment = ClippedWeights(),
        advantage: Advantage = LeaveOneOut(),
        samples_per_prompt: int = 4,
        kl_coefficient: float = 0.05,
        kl_estimator: KLEstimator = K1(),
        kl_placement: KLPlacement = InReward(),
        missing_eos_penalty: float = 0.0,
        mismatch_correction: MismatchCorrection = OneFactor(),
        max_staleness: int = 0,
        **kwargs: Any,
    ) -> None:
        """Describe the method.

        Args:
            target: π_t, the behavior we want.
            sampler: q, the distribution that answers are drawn from.
            weights: what is done to the raw weights π_θ/q before they enter the loss.
            advantage: the baseline.
            samples_per_prompt: answers to each prompt in a step.
            kl_coefficient: price of one nat of D(π_θ‖π_init), in units of reward; at least 0.
            kl_estimator: K1, K2 or K3 of log π_θ/π_init; K2 and K3 hardly pull in the reward (see `kl_placement`).
            kl_placement: InReward, or InLoss (with K2, exact; with K3 and token level, as GRPO has it).
            missing_eos_penalty: subtracted from the reward of an answer that was cut at max_new_tokens.
            mismatch_correction: how the weights treat answers that follow q only nearly, because an engine or earlier
                weights drew them: OneFactor, TwoFactors (a treatment of its own) or Uncorrected.
            max_staleness: optimizer steps by which the weights that draw an answer may be older than those that learn
                from it; above 0, a thread draws for the steps that come while this one is taken (see `DrawingAhead`).
            **kwargs: see `PolicyModule`.

        """
        super().__init__(**kwargs)
        strategies: dict[str, Any] = {"target": target, "sampler": sampler, "weights": weights, "advantage": advantage}
        strategies["mismatch_correction"] = mismatch_correction
        strategies |= {"kl_estimator": kl_estimator, "kl_placement": kl_placement, "reward": self.reward}
        # The command line refuses null for all but `reward`, which other methods can do without.
        for option, strategy in strategies.items():
            if strategy is None:
                raise UserError(f"{option} must be given for {type(self).__name__}, got None")
        at_least(1, samples_per_prompt=samples_per_prompt)
        at_least(0, kl_coefficient=kl_coefficient, max_staleness=max_staleness)
        self.check_advantage(advantage)
        kl_placement.check(kl_estimator)
        sampler.check_target(target)
        if isinstance(own := getattr(target, "model", None), ModelSource):
            own.check_beside(self.policy_source, trains=True)
        if sampler.whole_answers and weights.level != "sequence":
            raise UserError(
                f"weights.level must be sequence for {type(sampler).__name__}, whose log q is that of whole answers, "
                f"got {weights.level}"
            )
        if self.evaluation_sampler.needs_target:
            self.evaluation_sampler.check_target(target)
        # Answers from one candidate set are not independent: none may be in another's baseline.
        advantage.check(samples_per_prompt, sampler.independent_draws(samples_per_prompt))
        self.target = target
        self.sampler = sampler
        self.weights = weights
        self.advantage = advantage
        self.samples_per_prompt = samples_per_prompt
        self.kl_coefficient = kl_coefficient
        self.kl_estimator = kl_estimator
        self.kl_placement = kl_placement
        self.missing_eos_penalty = missing_eos_penalty
        self.mismatch_correction = mismatch_correction
        self.max_staleness = max_staleness
        self.ahead: DrawingAhead | None = None
        """What draws for the steps that come; None: each step draws its own."""

    @property
    def batches_ahead(self) -> int:
        """How many batches are drawn before their turn.

        Raises:
            UserError: if max_staleness is less than the optimizer steps of one batch.

        """
        batches = self.max_staleness // self.steps_per_batch
        if self.max_staleness and not batches:
            raise UserError(
                f"max_staleness must be 0 or at least the {self.steps_per_batch} optimizer steps of a batch, got "
                f"{self.max_staleness}"
            )
        return batches

    def configure_callbacks(self) -> Sequence[Callback]:
        """See `RLHFModule.configure_callbacks`; also what draws ahead."""
        callbacks = super().configure_callbacks()
        if self.trainer.state.fn != TrainerFn.FITTING or not self.batches_ahead:
            return callbacks
        if self.ahead is None:
            self.ahead = DrawingAhead(self, self.batches_ahead)
        self.ahead.check(self.trainer)
        return callbacks if self.ahead in self.trainer.callbacks else [*callbacks, self.ahead]  # type: ignore[attr-defined]

    @property
    def learns_from_reward(self) -> bool:
        """See `PolicyModule.learns_from_reward`."""
        return True

    def check_advantage(self, advantage: Advantage) -> None:
        """Raise UserError if it needs a critic: a method that trains one accepts it."""
        if advantage.critic:
            raise UserError(f"advantage must not need a critic for {type(self).__name__}, got {advantage}")

    def check_evaluation_sampler(self, sampler: Sampler) -> None:
        """Accept any: there is a π_t."""

    def sources(self) -> dict[str, ModelSource]:
        """See `RLHFModule.sources`; π_t reads the same tokens."""
        own = getattr(self.target, "model", None)
        if not isinstance(own, ModelSource) or isinstance(own, PolicyBase):  # the latter is the policy's own
            return super().sources()
        return super().sources() | {"model.target.model": own}

    def samplers(self) -> list[Sampler]:
        """See `PolicyModule.samplers`."""
        return [self.sampler, *(one for one in super().samplers() if one is not self.sampler)]

    def answer_lengths(self) -> dict[str, int]:
        """See `RLHFModule.answer_lengths`; training reads no answers of the data."""
        drawn = {"model.sampler.max_new_tokens": self.sampler.max_new_tokens}
        return drawn | (super().answer_lengths() if evaluates(self.trainer) else {})

    def frozen_parts(self) -> tuple[str, ...]:
        """See `RLHFModule.frozen_parts`."""
        return (*super().frozen_parts(), "target")

    def build_models(self) -> None:
        """See `PolicyModule.build_models`; also loads π_t."""
        check_target(self.target.left_to_default(), self.policy_source, self.data)  # before anything is loaded
        super().build_models()
        judge = getattr(self.target, "reward", None)
        if isinstance(judge, Reward) and self.data is not None:
            check_knows(judge, "target.reward", self.data)
        # A thread that draws ahead cannot read the policy's weights while they are trained.
        with lending(self.policy_source, self.policy, trains=True, unasked=self.max_staleness == 0):
            self.target.build(self.reference, self.tokenizer)  # after π_init, which it may be built on

    def on_train_start(self) -> None:
        """Keep dropout off: the policy that samples must be the policy that learns."""
        self.policy.eval()

    def evaluation_target(self) -> Target | None:
        """See `PolicyModule.evaluation_target`."""
        return self.target if self.evaluation_sampler.needs_target else None

    @property
    def step_seed(self) -> int:
        """Seed of all that is drawn for the current optimizer step."""
        # The run's seed above, the step in the 32 bits below.
        return (self.sampling_seed << 32) + self.global_step

    def draw(self, prompts: PromptBatch) -> Rollout:
        """Sample from q. The seed follows the optimizer step, so the micro-batches of a step are parts of one draw.

        Raises:
            NonFiniteError: if a model gives no distribution, which another batch would not mend.

        """
        try:
            with sampling_from(self, [self.policy, *self.target.decoding_models(), *self.sampler.models()]) as pace:
                if self.ahead is not None:
                    rollout = self.ahead.next(prompts)
                    return self.sampler.rescore(rollout, self.policy_tokens, self.target, pace=pace)
                self.sampler.note_step(self.global_step)  # else the thread that draws says it, of its own weights
                with keeping_laws():
                    return self.sampler.draw(
                        prompts,
                        self.policy_tokens,
                        self.target,
                        samples=self.samples_per_prompt,
                        seed=self.step_seed % 2**63,
                        pace=pace,
                    )
        except NonFiniteError as error:
            raise self.watch.stopped(self, str(error), TAMER) from error

    @torch.no_grad()
    def score(self, rollout: Rollout, completions: list[str]) -> ScoredRollout:
        """Judge the answers by the proxy, which is maximized, and by the gold reward, which is only watched."""
        components = self.score_answers(rollout, completions)
        rewards, judge = components["proxy"], type(self.reward).__name__
        # of_batch: the rewards enter every optimizer step that is taken on the rollout.
        self.watch.note(rewards, lambda: describe_rewards(rewards, judge, rollout), REWARDS, of_batch=True)
        return ScoredRollout(rollout=rollout, rewards=components["proxy"], components=components)

    @torch.no_grad()
    def reference_logprobs(self, rollout: Rollout) -> Tensor:
        """Return log π_init(y_t) [rows, time] of the sampled tokens."""
        return rollout_logprobs(self.reference_tokens, rollout)

    def shaped_rewards(self, scored: ScoredRollout, reference_logprobs: Tensor) -> Tensor:
        """Return the reward of each token [rows, time]: r on the last one, and −kl_coefficient · k(log π_θ/π_init).

        The second part is absent where the price stands in the loss.
        """
        rollout = scored.rollout
        log_ratio = rollout.policy_logprobs - reference_logprobs
        prices = self.kl_coefficient * self.kl_placement.token_prices(self.kl_estimator, log_ratio)
        penalties = self.missing_eos_penalty * (~rollout.ended_mask).to(scored.rewards.dtype)
        return shape_rewards(scored.rewards - penalties, prices, rollout.completion_mask)

    def weigh(self, scored: ScoredRollout, reference_logprobs: Tensor, values: Tensor | None = None) -> WeightedRollout:
        """Form the weights, and the advantages of the shaped rewards (from `values` [rows, time], with a critic).

        The weights are π_θ/q; where others drew the answers, see `qstar_pl.qstar.mismatch`.
        """
        rollout, mask = scored.rollout, scored.rollout.completion_mask
        rewards = self.shaped_rewards(scored, reference_logprobs)
        advantages = self.advantage.estimate(rewards, values, mask, rollout.prompt_index, rollout.set_index)
        recomputed = rollout.behavior_logprobs if rollout.recomputed_logprobs is None else rollout.recomputed_logprobs
        logprobs = TokenLogprobs(rollout.policy_logprobs, rollout.behavior_logprobs, recomputed)
        found = self.mismatch_correction(logprobs, self.weights, mask, rollout.prompt_index)
        return WeightedRollout(
            scored=scored,
            log_weights=found.log_weights,
            weights=found.weights,
            clipping=found.clipping,
            advantages=advantages,
        )

    def rollout_report(
        self,
        weighted: WeightedRollout,
        loss: LossReport,
        reference_logprobs: Tensor,
        completions: list[str],
        passes: int = 1,
    ) -> RolloutReport:
        """Collect what the diagnostics read; each of the `passes` over the rollout counts its tokens again."""
        generated = int(weighted.scored.rollout.completion_mask.sum())
        return RolloutReport(
            loss=loss.loss,
            terms=loss.terms,
            samples=len(weighted.scored.rollout),
            tokens=passes * generated,
            generated=generated + weighted.scored.rollout.info.discarded,
            weighted=weighted,
            reference_logprobs=reference_logprobs,
            completions=tuple(completions),
        )
