"""The decode loop of speculative sampling: rounds of drafting, reading and keeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.rollout.finish import write_tokens
from qstar_pl.rollout.law import Law, Mixed
from qstar_pl.rollout.pace import Clock
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.couplings.coupling import Coupling, Settled
from qstar_pl.samplers.drafters.drafter import Drafting
from qstar_pl.samplers.feeds.answers import Answers
from qstar_pl.samplers.feeds.costs import Meter
from qstar_pl.samplers.feeds.feed import Feed
from qstar_pl.samplers.speculation.schedule import BLOCK_REST, LAW, PLAIN_REST, Schedule
from qstar_pl.samplers.speculation.tally import Tally


@dataclass
class Examined:
    """q at n positions of the rows, and what was drawn there."""

    settled: Settled
    logprobs: Mapping[str, Tensor]
    mixed: Mixed
    law_logprobs: Tensor
    law_probs: Tensor


@dataclass
class Round:
    """Speculative decoding of one batch; `run` does it."""

    answers: Answers
    feeds: Mapping[str, Feed]
    drafting: Drafting
    schedule: Schedule
    coupling: Coupling
    law: Law
    truncation: Truncation
    numbers: Mapping[str, Tensor]
    """[rows, columns] by purpose, for all rows."""
    trace: Trace
    eos: Tensor
    meter: Meter
    tally: Tally

    def run(self, clock: Clock) -> Tensor:
        """Draw all answers into the trace, and return which [rows] ended with EOS."""
        limit = self.trace.ids.shape[1]
        self._ended = torch.zeros(len(self.answers), dtype=torch.bool, device=self.answers.ids.device)
        self._rows = torch.arange(len(self.answers), device=self.answers.ids.device)
        started = self.meter.clock()
        while len(self._rows):
            before, passes = self.meter.clock(), sum(self.meter.seconds.values())
            lengths, rows = self.answers.lengths, len(self._rows)
            # A row need not draft beyond the limit, and no model is asked to read beyond it.
            chosen = self.schedule.choose(rows)
            self._drafts = chosen > 0
            drafted = self._round(min(chosen, limit - 1 - int(lengths.min()), limit - int(lengths.max())))
            rest = self.meter.clock() - before - (sum(self.meter.seconds.values()) - passes)
            self.meter.costs.note(BLOCK_REST if drafted else PLAIN_REST, rows, 1, rest)
            self._drop_ended(limit)
            clock.over(len(self._rows) == 0, self.tally.emitted)
        self.tally.total_s = self.meter.clock() - started
        return self._ended

    def _round(self, k: int) -> bool:
        """Let every row grow by at least one token, and return whether anything was drafted."""
        answers, start = self.answers, self.answers.lengths
        with self.tally.phase("draft"):
            drafts, probs, proposed = self._draft(k)
        count = len(drafts)
        with self.tally.phase("verify"):
            # A model that drafted the whole block has its logits at all places but the one behind it, which are wanted
            # only if all is accepted.
            lazy = [role for role in self.law.roles if count and self.feeds[role].known == count]
            ready = count if lazy else count + 1
            for role in self.law.roles:
                if role not in lazy:
                    self.feeds[role].logits(answers, count + 1)
        everyone = torch.arange(len(answers), device=start.device)
        seen = self._examine(everyone, 0, ready, drafts, probs)
        kept = seen.settled.accepted.view(-1, ready)[:, :count].long().cumprod(-1).sum(-1)
        whole = kept == count
        self.tally.block(proposed, kept)
        taken = kept + 1 if ready > count else (kept + 1).clamp_max(count)
        written = self._write(everyone, 0, seen, taken)
        further = whole & (self.answers.lengths + taken < self.trace.ids.shape[1]) & ~self._ended[self._rows]
        if lazy and self.drafting.bonus and bool(further.any()):
            written = written + self._bonus(further, drafts, probs)
        # What was read of a block stands as far as it was accepted.
        for feed in self.feeds.values():
            feed.settle(start + kept)
        self.drafting.settle(start + kept, bool(whole.all()))
        answers.lengths = start + written
        return count > 0

    def _draft(self, k: int) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Propose up to `k` tokens, and return them, what they were drawn from, and how many each row has [rows]."""
        drafts: list[Tensor] = []
        probs: list[Tensor] = []
        answers, going = self.answers, torch.ones(len(self.answers), dtype=torch.bool, device=self.answers.ids.device)
        proposed = torch.zeros_like(answers.lengths)
        for place in range(k):
            p, mask = self.drafting.propose(answers, place)
            if mask is not None:
                # A row ends its block where nothing is proposed.
                going = going & mask
                if not bool(going.any()):
                    break
                p = torch.where(going.unsqueeze(-1), p, 0.0)
            proposed = proposed + going
            probs.append(p)
            drafts.append(self.coupling.propose(p, self._numbers(slice(None), place, 1)))
            answers.put(place, drafts[-1])
        return drafts, probs, proposed

    def _examine(self, rows: Tensor, first: int, count: int, drafts: list[Tensor], probs: list[Tensor]) -> Examined:
        """Form q at `count` places from `first` on of some rows [n], and draw there: [n · count] of everything."""
        logits = {role: self.feeds[role].logits(self.answers, first + count) for role in self.law.roles}
        with self.meter.timed(LAW, len(rows), count):
            logprobs = {
                role: said[rows, first : first + count].flatten(0, 1).log_softmax(-1) for role, said in logits.items()
            }
            mixed = self.law(logprobs)
            law_logprobs = self.truncation(mixed.logprobs)
            law_probs = law_logprobs.softmax(-1)
            draft_probs, tokens = self._proposed(rows, first, count, drafts, probs, law_probs)
            settled = self.coupling.settle(law_probs, draft_probs, tokens, self._numbers(rows, first, count))
        return Examined(settled, logprobs, mixed, law_logprobs, law_probs)

    def _proposed(
        self, rows: Tensor, first: int, count: int, drafts: list[Tensor], probs: list[Tensor], like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return p [n · count, vocab] and the proposals [n · count] at the places that are examined."""
        p = like.new_zeros(len(rows), count, like.shape[-1])
        tokens = torch.zeros(len(rows), count, dtype=torch.int64, device=like.device)
        for place in range(first, first + count):
            if place < len(drafts):
                p[:, place - first], tokens[:, place - first] = probs[place][rows], drafts[place][rows]
            elif self.coupling.uses_draft_probs and self._drafts:
                # The last place has a proposal, too, whether or not it saves a pass: a token must not depend on where
                # its block ends.
                said, mask = self.drafting.propose(self.answers, place)
                said = said if mask is None else torch.where(mask.unsqueeze(-1), said, 0.0)
                p[:, place - first] = said[rows]
                tokens[:, place - first] = self.coupling.propose(said, self._numbers(slice(None), place, 1))[rows]
        return p.flatten(0, 1), tokens.flatten()

    def _bonus(self, further: Tensor, drafts: list[Tensor], probs: list[Tensor]) -> Tensor:
        """Draw one more token for the rows whose block was accepted as a whole, and return how many [rows] it wrote."""
        rows = further.nonzero().squeeze(-1)
        seen = self._examine(rows, len(drafts), 1, drafts, probs)
        written = torch.zeros_like(self.answers.lengths)
        written[rows] = self._write(rows, len(drafts), seen, torch.ones_like(rows))
        return written

    def _write(self, rows: Tensor, first: int, seen: Examined, taken: Tensor) -> Tensor:
        """Write the first `taken` [n] of the examined places of some rows [n], and return how many [n] were needed."""
        tokens = seen.settled.tokens.view(len(rows), -1)
        count = tokens.shape[1]
        places = first + torch.arange(count, device=tokens.device)
        times = self.answers.lengths[rows].unsqueeze(-1) + places
        ends = torch.isin(tokens, self.eos)
        # Nothing stands behind an EOS, and nothing beyond the limit.
        mask = (places < first + taken.unsqueeze(-1)) & (times < self.trace.ids.shape[1])
        mask &= (ends.long().cumsum(-1) - ends.long()) == 0
        chosen = mask.flatten()
        glob = self._rows[rows]

        def pick(values: Tensor) -> Tensor:
            return values if count == 1 and bool(chosen.all()) else values[chosen]

        where = (pick(glob.repeat_interleave(count)), pick(times.flatten()))
        mixed = Mixed(seen.mixed.logprobs, pick(seen.mixed.alpha), pick(seen.mixed.log_z))
        logprobs = {role: pick(values) for role, values in seen.logprobs.items()}
        picked = pick(tokens.flatten())
        write_tokens(self.trace, where, picked, logprobs, mixed, pick(seen.law_logprobs), pick(seen.law_probs))
        local = (pick(rows.repeat_interleave(count)), where[1])
        self.answers.ids[local] = picked
        self._ended[glob] |= (ends & mask).any(-1)
        self.tally.emitted += int(chosen.sum())
        return mask.sum(-1)

    def _numbers(self, rows: Tensor | slice, first: int, count: int) -> dict[str, Tensor]:
        """Return the random numbers [n · count] by purpose, at `count` places of some rows from `first` on."""
        glob = self._rows[rows]
        times = self.answers.lengths[rows].unsqueeze(-1) + first + torch.arange(count, device=glob.device)
        return {name: values[glob.unsqueeze(-1), times].flatten() for name, values in self.numbers.items()}

    def _drop_ended(self, limit: int) -> None:
        """Go on with the rows that still run."""
        live = (~self._ended[self._rows] & (self.answers.lengths < limit)).nonzero().squeeze(-1)
        if len(live) == len(self._rows):
            return
        self._rows = self._rows[live]
        if len(live):
            self.answers.select(live)
            for feed in self.feeds.values():
                feed.select(live)
            self.drafting.select(live)
