"""Speculative sampling: several tokens of q per pass of the models, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout.engine import check_vocabularies, decode
from qstar_pl.rollout.finish import finish
from qstar_pl.rollout.heap import keep_freed_memory
from qstar_pl.rollout.law import POLICY, TARGET, Geometric, Law
from qstar_pl.rollout.pace import Clock, Pace
from qstar_pl.rollout.rescoring import rescored
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.couplings import Coupling, SharedUniform
from qstar_pl.samplers.drafters import Alternating, Drafter
from qstar_pl.samplers.drafters.drafter import OWN, Setting
from qstar_pl.samplers.feeds.answers import Answers
from qstar_pl.samplers.feeds.costs import Meter
from qstar_pl.samplers.feeds.feed import Feed
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.samplers.speculation.engine import Round
from qstar_pl.samplers.speculation.memory import Memory
from qstar_pl.samplers.speculation.schedule import Schedule
from qstar_pl.samplers.speculation.tally import Tally
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


@dataclass(frozen=True, kw_only=True)
class SpeculativeSampler(Sampler):
    """Draws from any law over next tokens; a drafter proposes blocks, which the models read in one pass each.

    Exact: the tokens follow q, and every column of the rollout is what plain decoding reports. With the default
    coupling the texts are even those of plain decoding with the same seed, whatever the drafter, k and the batch.
    """

    law: Law = Geometric(KLSymmetricAlpha())  # noqa: RUF009 (frozen)
    """q: Geometric(alpha: any strategy), or Alone(role: policy or target)."""
    drafter: Drafter = Alternating()  # noqa: RUF009 (frozen)
    """Who proposes: Alternating, PolicyDrafter, TargetDrafter, ModelDrafter(model), PromptLookup, Hybrid."""
    k: int | None = None
    """Tokens proposed at a time, at least 1; None: chosen before each block, from what was accepted and what passes
    cost, up to 8."""
    coupling: Coupling = SharedUniform()  # noqa: RUF009 (frozen)
    """How a proposal is compared with q: SharedUniform gives the texts of plain decoding; Rejection accepts more."""
    mode: Literal["auto", "always"] = "auto"
    """auto: plain decoding where drafting does not pay, by measured times, or cannot be done. always: drafting, and an
    error where it cannot be done."""
    _memory: list[Memory] = field(default_factory=lambda: [Memory()], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, k=self.k)
        if self.coupling.uses_draft_probs and not self.drafter.steady:
            raise UserError(
                f"coupling must be SharedUniform for {type(self.drafter).__name__}, whose texts depend on "
                f"what shares their batch, got {type(self.coupling).__name__}"
            )

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`."""
        return True

    @property
    def needs_target(self) -> bool:
        """See `Sampler.needs_target`."""
        return TARGET in (*self.law.roles, *self.drafter.roles)

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Sampler.build`."""
        self.drafter.build(reference, tokenizer)

    def models(self) -> list[nn.Module]:
        """See `Sampler.models`."""
        return self.drafter.models

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
        """See `Sampler.draw`."""
        models = {POLICY: policy, TARGET: self.next_tokens(target)}
        if not self._can_draft(models, pace):
            return self._plain(prompts, models, samples, seed, pace)
        if self.mode == "always":
            return self._drafted(prompts, models, samples, seed, pace)
        # The texts of a seed may depend on what is chosen here, under couplings that say so; their law does not.
        way = self._memory[0].way(len(prompts) * samples)
        started, drafts = Meter.clock(), way.choose()
        rollout = (self._drafted if drafts else self._plain)(prompts, models, samples, seed, pace)
        # As it was meant: one that began to draft, and found no room for it in a sliding window, took longer for that.
        way.note(drafts, (Meter.clock() - started) / rollout.completion_mask.shape[1])
        return rollout

    def rescore(
        self, rollout: Rollout, policy: NextToken, target: NextToken | Target, *, pace: Pace = Pace()
    ) -> Rollout:
        """See `Sampler.rescore`."""
        truncation = Truncation(self.temperature, self.top_k, self.top_p)
        return rescored(rollout, policy, self.next_tokens(target), self.law, truncation=truncation, pace=pace)

    def _drafted(
        self, prompts: PromptBatch, models: Mapping[str, NextToken], samples: int, seed: int, pace: Pace
    ) -> Rollout:
        memory, policy = self._memory[0], models[POLICY]
        check_vocabularies(models[POLICY], models[TARGET])
        keep_freed_memory()
        truncation = Truncation(self.temperature, self.top_k, self.top_p)
        wanted = dict.fromkeys((*self.law.roles, *self.drafter.roles))
        sessions = {role: models[role].start(prompts, samples) for role in wanted}
        own = [model.start(prompts, samples) for model in self.drafter.own()]
        longest = self.max_new_tokens
        rooms = [one.room for one in (*sessions.values(), *own) if one.room is not None]
        if rooms and min(rooms) < longest:
            if self.mode == "always":
                raise UserError(
                    f"max_new_tokens must fit into the models' sliding windows for mode always, got {longest} and room "
                    f"for {min(rooms)}"
                )
            return self._plain(prompts, models, samples, seed, pace)
        like = sessions[self.law.roles[0]].logits
        meter = Meter(memory.costs, like.device)
        feeds = {role: Feed(role, session, meter) for role, session in sessions.items()}
        setting = Setting(
            feeds=feeds,
            verifiers=self.law.roles,
            vocab_size=policy.vocab_size,
            truncation=truncation,
            always=self.coupling.uses_draft_probs,
            own=tuple(Feed(OWN, session, meter) for session in own),
        )
        drafting = self.drafter.start(setting)
        # Where p decides on tokens, a position is drafted or not by what was known before the rollout: proposals that
        # were dropped are made again, and what was learned from them must not choose whether they count.
        optional = self.mode == "auto" and not self.coupling.uses_draft_probs
        schedule = Schedule(memory, drafting, self.law.roles, self.k, optional)
        tally = Tally(memory, meter)
        trace = Trace(len(like), longest, like)
        numbers = self._numbers(prompts, samples, longest + 1, seed, like.device)
        texts = [ids[mask].tolist() for ids, mask in zip(prompts.prompt_ids, prompts.prompt_mask, strict=True)]
        rows = [texts[row // samples] for row in range(len(like))]
        ended = Round(
            answers=Answers(rows, longest + 1, like.device),
            feeds=feeds,
            drafting=drafting,
            schedule=schedule,
            coupling=self.coupling,
            law=self.law,
            truncation=truncation,
            numbers=numbers,
            trace=trace,
            # May be empty: isin is then False everywhere, and answers end at max_new_tokens.
            eos=torch.tensor(policy.eos_token_ids, dtype=torch.int64, device=like.device),
            meter=meter,
            tally=tally,
        ).run(Clock(pace))
        report = tally.report(schedule, len(like), int(trace.mask.sum(-1).max()))
        info = SamplerInfo(exact=True, seed=seed, drafted=tally.drafted, accepted=sum(report.accepted), drafting=report)
        return finish(trace, prompts, self.law, truncation, models, ended=ended, samples=samples, info=info)

    def _numbers(
        self, prompts: PromptBatch, samples: int, count: int, seed: int, device: torch.device
    ) -> Mapping[str, Tensor]:
        return {
            purpose: row_uniforms(prompts.keys, samples, count, seed=seed, purpose=purpose).to(device)
            for purpose in self.coupling.purposes
        }

    def _can_draft(self, models: Mapping[str, NextToken], pace: Pace) -> bool:
        """Return whether blocks can be drafted and taken back; raise UserError where they must and cannot."""
        wanted = {f"{role} model": models[role] for role in dict.fromkeys((*self.law.roles, *self.drafter.roles))}
        named = [*wanted.items(), *(("drafter", model) for model in self.drafter.own())]
        reasons = [f"a {name} that can take tokens back" for name, model in named if not model.rewinds]
        if pace.everyone is not bool:
            # Passes are meetings of all processes there, and each would come to another number of them.
            reasons.append("parameters that are not streamed")
        if reasons and self.mode == "always":
            raise UserError(f"sampler.mode must be auto for plain decoding without {reasons[0]}, got always")
        return not reasons

    def _plain(
        self, prompts: PromptBatch, models: Mapping[str, NextToken], samples: int, seed: int, pace: Pace
    ) -> Rollout:
        return decode(
            prompts,
            models[POLICY],
            models[TARGET],
            self.law,
            samples=samples,
            seed=seed,
            max_new_tokens=self.max_new_tokens,
            truncation=Truncation(self.temperature, self.top_k, self.top_p),
            pace=pace,
        )
