"""Sampling by an engine of its own weights, which are pushed before a draw and verified."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.engine import check_vocabularies
from qstar_pl.rollout.law import POLICY, TARGET, Alone, Law
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.rescoring import rescored, score_tokens
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.engines import Engine, Generated, Job, LocalEngine
from qstar_pl.samplers.engines.keeper import Keeper
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.targets.target import Target
from qstar_pl.types import EngineReport, PromptBatch, Rollout, SamplerInfo


@dataclass(frozen=True, kw_only=True)
class EngineSampler(Sampler):
    """Draws with an engine (vLLM, say), from weights that it is given and that are verified before every draw.

    `behavior_logprobs` are what the engine says of its own law: what tokens were drawn from, with the engine's kernels
    and in its precision. The other columns come from the trainer's models, which read the finished answers once, so
    the weights correct for the mismatch between the two (see `qstar_pl.qstar.mismatch`). What the trainer makes of the
    same law is `recomputed_logprobs`.
    """

    engine: Engine = LocalEngine()  # noqa: RUF009 (frozen)
    """Who draws."""
    law: Law = Alone(POLICY)  # noqa: RUF009 (frozen)
    """q: Alone(role: policy), or Geometric(alpha) for an engine that can mix."""
    _keeper: list[Keeper] = field(default_factory=lambda: [Keeper()], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if POLICY not in self.law.roles:
            raise UserError(f"law must draw from the policy for EngineSampler, got {self.law}")
        self.engine.check(self.law)

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`: of the engine's own law."""
        return True

    @property
    def needs_target(self) -> bool:
        """See `Sampler.needs_target`."""
        return TARGET in self.law.roles

    @property
    def truncation(self) -> Truncation:
        """What turns q into the law that tokens are drawn from."""
        return Truncation(self.temperature, self.top_k, self.top_p)

    def require(self) -> None:
        """See `Sampler.require`."""
        self.engine.require()

    def note_step(self, step: int) -> None:
        """See `Sampler.note_step`."""
        self._keeper[0].step = step

    def close(self) -> None:
        """See `Sampler.close`."""
        self._keeper[0].stop()

    @property
    def records_kept(self) -> bool:
        """See `Sampler.records_kept`."""
        return True

    @torch.no_grad()
    def draw(
        self,
        prompts: PromptBatch,
        policy: NextToken,
        target: NextToken | Target,
        *,
        samples: int,
        seed: int,
        pace: Pace = Pace(),
    ) -> Rollout:
        """See `Sampler.draw`.

        Raises:
            UserError: if the engine does not hold the policy's weights after they were pushed, or draws tokens that
                the policy does not have.
            NonFiniteError: if it gives log-probabilities that are not finite.

        """
        if not isinstance(policy, LanguageModel):
            raise UserError(f"policy must be a language model for EngineSampler, got {type(policy).__name__}")
        if pace.everyone is not bool:
            raise UserError("trainer.strategy.gathering must be gathered for EngineSampler, got streamed")
        tokens = self.next_tokens(target)
        check_vocabularies(policy, tokens)
        truncation = self.truncation
        started = time.monotonic()
        keeper = self._keeper[0]
        running = keeper.running(self.engine, policy, tokens, self.law, self.max_new_tokens)
        fingerprint = keeper.refresh(running, policy)
        verified = time.monotonic()
        job = Job(prompts, samples, seed, self.max_new_tokens, truncation, policy.eos_token_ids)
        generated = running.generate(job)
        drawn = time.monotonic()
        _check(generated, policy.vocab_size)
        if truncation.cuts and generated.kept is None:
            raise UserError(
                "engine must say which tokens top_k and top_p leave over, without which the trainer cannot compute the "
                f"law that was drawn from, got {type(self.engine).__name__}"
            )
        prompt_index = torch.arange(len(prompts), device=prompts.prompt_ids.device).repeat_interleave(samples)
        columns = score_tokens(
            prompts,
            prompt_index,
            generated.token_ids,
            generated.mask,
            policy,
            tokens,
            self.law,
            truncation=truncation,
            kept=generated.kept,
        ).columns
        recomputed = columns.pop("behavior_logprobs")
        report = EngineReport(fingerprint, keeper.step, verified - started, drawn - verified, generated.columns)
        return Rollout(
            prompts=prompts,
            prompt_index=prompt_index,
            completion_ids=generated.token_ids,
            completion_mask=generated.mask,
            ended_mask=generated.ended_mask,
            behavior_logprobs=generated.logprobs.to(recomputed),
            info=SamplerInfo(exact=True, seed=seed, engine=report, kept=generated.kept),
            recomputed_logprobs=recomputed,
            **columns,
        )

    def rescore(
        self, rollout: Rollout, policy: NextToken, target: NextToken | Target, *, pace: Pace = Pace()
    ) -> Rollout:
        """See `Sampler.rescore`."""
        tokens = self.next_tokens(target)
        return rescored(rollout, policy, tokens, self.law, truncation=self.truncation, pace=pace)


def _check(generated: Generated, vocab: int) -> None:
    if int(generated.token_ids.max()) >= vocab:
        raise UserError(
            f"engine must draw from the {vocab} tokens that the policy's tokenizer has (an embedding may have more "
            f"rows), got token {int(generated.token_ids.max())}"
        )
    if not bool(generated.logprobs.isfinite().all()):
        raise NonFiniteError(
            "engine must give finite log-probabilities, got NaN or infinity: the policy's weights may have diverged"
        )
