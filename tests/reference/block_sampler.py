"""A sampler as a user would write it, outside of the package: with a model of its own, several tokens at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models import DecodeSession, LanguageModel, NextToken, Pretrained, freeze
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.rollout import Alone, Truncation
from qstar_pl.rollout.absent import fill_absent
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.trace import Trace
from qstar_pl.samplers import Sampler
from qstar_pl.targets import Target
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


@dataclass(frozen=True, kw_only=True)
class BlockSampler(Sampler):
    """q = π_θ: a drafter proposes a block, π_θ reads it in one pass and keeps a prefix (Leviathan et al. 2023)."""

    drafter: ModelSource = Pretrained("tiny/policy")  # noqa: RUF009 (frozen)
    """A model with the policy's vocabulary."""
    block: int = 3
    """Tokens proposed at a time."""
    _tokens: list[LanguageModel] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def exact(self) -> bool:
        """See `Sampler.exact`."""
        return True

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Sampler.build`."""
        check_vocabulary(self.drafter, tokenizer, "sampler.drafter")
        self._tokens[:] = [LanguageModel(freeze(self.drafter.load()), tokenizer)]

    def models(self) -> list[nn.Module]:
        """See `Sampler.models`."""
        return [tokens.model for tokens in self._tokens]

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
        (drafter,) = self._tokens
        if not (policy.rewinds and drafter.rewinds):
            raise UserError("sampler must not be BlockSampler for models that cannot take tokens back")
        sessions = policy.start(prompts, samples), drafter.start(prompts, samples)
        count = self.max_new_tokens + self.block + 1
        numbers = {
            purpose: row_uniforms(prompts.keys, samples, count, seed=seed, purpose=purpose)
            for purpose in ("draft", "accept", "token")
        }
        trace = Trace(len(prompts) * samples, self.max_new_tokens, sessions[0].logits)
        ends = torch.tensor(policy.eos_token_ids)
        ended = torch.zeros(len(trace.ids), dtype=torch.bool)
        lengths = torch.zeros(len(trace.ids), dtype=torch.int64)
        rows = torch.arange(len(trace.ids))
        drafted = accepted = 0
        while len(rows):
            start = lengths[rows]
            uniforms = {name: values[rows] for name, values in numbers.items()}
            kept, tokens, logprobs = self._round(*sessions, uniforms, start)
            drafted, accepted = drafted + self.block * len(rows), accepted + int(kept.sum())
            for place in range(self.block + 1):
                writes = (place <= kept) & (start + place < self.max_new_tokens) & ~ended[rows]
                row = rows[writes]
                where = (row, start[writes] + place)
                trace.ids[where], trace.mask[where] = tokens[writes, place], True
                for name in ("behavior_logprobs", "policy_logprobs"):
                    trace.write(name, where, logprobs[writes, place])
                for name in ("alpha", "ess_policy"):
                    trace.write(name, where, torch.ones(len(row)))
                ended[row] |= torch.isin(tokens[writes, place], ends)
            lengths[rows] += kept + 1
            live = (~ended[rows] & (lengths[rows] < self.max_new_tokens)).nonzero().squeeze(-1)
            rows = rows[live]
            if len(rows):
                for session in sessions:
                    session.select(live)
        trace.cut(int(trace.mask.sum(-1).max()))
        index = torch.arange(len(prompts)).repeat_interleave(samples)
        models = {POLICY: policy, TARGET: self.next_tokens(target)}
        fill_absent(trace, prompts, index, Alone(POLICY), Truncation(), models, role=TARGET)
        return Rollout(
            prompts=prompts,
            prompt_index=index,
            completion_ids=trace.ids,
            completion_mask=trace.mask,
            ended_mask=ended,
            info=SamplerInfo(exact=True, seed=seed, drafted=drafted, accepted=accepted),
            **trace.columns,
        )

    def _round(
        self, policy: DecodeSession, drafter: DecodeSession, uniforms: dict[str, Tensor], start: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return how many proposals are kept [rows], the tokens [rows, block + 1] and their log-probabilities."""
        at = torch.arange(len(start))
        proposals, laws = [], []
        for place in range(self.block):
            laws.append(drafter.logits.softmax(-1))
            proposals.append(inverse_cdf(laws[-1], uniforms["draft"][at, start + place]))
            drafter.advance(proposals[-1])
        proposed, q = torch.stack(proposals, dim=1), torch.stack(laws, dim=1)
        logprobs = torch.cat([policy.logits.unsqueeze(1), policy.extend(proposed)], dim=1).log_softmax(-1)
        p, chosen = logprobs.exp(), proposed.unsqueeze(-1)
        ratio = (p[:, :-1].gather(-1, chosen) / q.gather(-1, chosen)).squeeze(-1)
        places = start.unsqueeze(-1) + torch.arange(self.block)
        kept = (uniforms["accept"].gather(-1, places) < ratio).long().cumprod(-1).sum(-1)
        # What the drafter gave too little of, or π_θ itself behind a block that was kept as a whole.
        rest = torch.cat([(p[:, :-1] - q).clamp_min(0), p[:, -1:]], dim=1)[at, kept]
        last = inverse_cdf(rest, uniforms["token"][at, start + kept])
        for session in (policy, drafter):
            session.rewind(self.block - kept)
            session.advance(last)
        tokens = torch.cat([proposed, last.unsqueeze(-1)], dim=1)
        tokens[at, kept] = last
        return kept, tokens, logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
