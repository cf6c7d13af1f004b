"""Many batches decoded as one: rows that have ended make room for the next prompts (continuous batching)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.models.padding import STRIDE
from qstar_pl.rollout.engine import check_vocabularies, decode
from qstar_pl.rollout.finish import finish
from qstar_pl.rollout.fused.drawing import fused_drawing
from qstar_pl.rollout.heap import keep_freed_memory
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.lockstep import Lockstep
from qstar_pl.rollout.rows import CROWDED
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.token import Draw, drawing
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.rollout.waiting import FOURS, Waiting
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo

SAME_SUMS = 512
"""Columns up to which attention on a CPU sums a moved row in the same order; longer rows are summed in blocks of so
many, and a moved row would be cut elsewhere."""
WHOLE_VECTORS = 32
"""Numbers of a tensor that a CPU computes at a time; what is left behind the last of them is rounded otherwise."""
WORTH_READING = 1 / 4
"""Share of the places that must be free for prompts to be read: a pass over prompts costs as much as two
tokens, so that filling every place at once reads too often, and more free places than these wait too long."""
LOST_PASSES = 6
"""Passes that free places have cost, in sum, before the first prompts join. Rows that joined end at different times, so
that from then on a batch's prompts are read in three or four passes instead of one: where answers are short and of like
lengths (tiny/policy: 14 tokens, the longest of eight 18), that costs more than the places that stand empty."""
DRAWN_TOGETHER = 12
"""Rows drawn at a time on a CPU: so few that one number per row is never computed as a whole vector."""


@torch.no_grad()
def decode_all(
    batches: Sequence[PromptBatch],
    policy: NextToken,
    target: NextToken,
    law: Law,
    *,
    samples: int,
    seed: int,
    max_new_tokens: int,
    truncation: Truncation = Truncation(),
    refill: bool = True,
    fused: bool = True,
) -> list[Rollout]:
    """Draw what `decode` draws for each of the batches, with no more rows at a time than the largest batch has.

    With `refill`, a row that has ended makes room for the next prompts, of whichever batch. In float32 on one thread of
    a CPU, with PyTorch's own attention, this changes no bit of any number: rows stand and are read as in their own
    batch, or a multiple of 16 columns from there, and no sum depends on what else is in the tensor (see `FOURS`,
    `WHOLE_VECTORS`). Elsewhere, and beside `decode`, the numbers differ by rounding. Batches whose rows may become
    longer than `SAME_SUMS` are decoded by themselves on a CPU.

    Args:
        batches: prompts, padded on the left, each batch on its own.
        policy: π_θ, whose EOS ids end an answer; it and `target` must have sessions that `join`.
        target: π_t.
        law: makes q from their log-probabilities.
        samples: answers per prompt.
        seed: of the draw.
        max_new_tokens: longest answer, EOS included.
        truncation: temperature, top-k and top-p of q.
        refill: whether rows make room; if not, a batch begins when the one before has ended.
        fused: whether a token may be drawn by one kernel, where there is one for this law and device.

    Returns:
        A rollout for each batch.

    """
    check_vocabularies(policy, target)
    keep_freed_memory()
    models: Mapping[str, NextToken] = {POLICY: policy, TARGET: target}
    on_cpu = batches[0].prompt_ids.device.type == "cpu"

    def short(batch: PromptBatch) -> bool:
        widest = max(models[role].read_by(batch)[1].prompt_ids.shape[1] for role in law.roles)
        return widest + max_new_tokens + STRIDE <= SAME_SUMS

    together = [number for number, batch in enumerate(batches) if not on_cpu or short(batch)]
    found: dict[int, Rollout] = {}
    if together:
        loop = _Loop(
            [batches[i] for i in together],
            models,
            law,
            truncation,
            samples,
            seed,
            max_new_tokens,
            refill=refill,
            fused=fused,
        )
        found = dict(zip(together, loop.run(), strict=True))
    for number, batch in enumerate(batches):
        if number not in found:
            found[number] = decode(
                batch, policy, target, law,
                samples=samples, seed=seed, max_new_tokens=max_new_tokens, truncation=truncation, fused=fused,
            )  # fmt: skip
    return [found[number] for number in range(len(batches))]


class _Loop:
    """The rows that run; the sessions may also hold copies of them, and rows that have ended."""

    def __init__(
        self,
        batches: Sequence[PromptBatch],
        models: Mapping[str, NextToken],
        law: Law,
        truncation: Truncation,
        samples: int,
        seed: int,
        longest: int,
        *,
        refill: bool,
        fused: bool,
    ) -> None:
        self.batches, self.models, self.law, self.truncation = batches, models, law, truncation
        self.draw: Draw | None = None
        self.samples, self.seed, self.longest, self.refill = samples, seed, longest, refill
        self.fused = fused
        self.device = batches[0].prompt_ids.device
        self.on_cpu = self.device.type == "cpu"
        self.waiting = Waiting(batches, {role: models[role] for role in law.roles}, samples, aligned=self.on_cpu)
        sizes = torch.tensor([len(batch) * samples for batch in batches])
        self.slots = int(sizes.max())
        self.first = (sizes.cumsum(0) - sizes).tolist()
        uniforms = [row_uniforms(batch.keys, samples, longest, seed=seed) for batch in batches]
        self.uniforms = torch.cat(uniforms).to(self.device)
        self.eos = torch.tensor(models[POLICY].eos_token_ids, dtype=torch.int64, device=self.device)
        self.ended = torch.zeros(len(self.uniforms), dtype=torch.bool, device=self.device)
        self.trace: Trace | None = None
        self.sessions: Lockstep | None = None
        self.columns: list[int] | None = None
        """Of the running rows by role, as if nothing had been trimmed; None: none run."""
        self.rows = torch.empty(0, dtype=torch.int64, device=self.device)
        """[n]: the row of the trace of each of the sessions' rows."""
        self.ages = self.rows
        """[n]: tokens of each so far."""
        self.live = self.rows
        """Which of the sessions' rows still run."""
        self.oldest = 0
        """The largest of the ages."""
        self.lost = 0
        """Free places, added up over the passes since a batch began in which none ran."""

    def run(self) -> list[Rollout]:
        """Decode all, and return a rollout for each batch."""
        while True:
            self._fill()
            if self.sessions is None:
                break
            tokens = self._draw(self.sessions.logits())
            if len(self.live):
                self._advance(self.sessions, tokens)
            else:
                self.sessions, self.columns = None, None
        return [self._finished(number) for number in range(len(self.batches))]

    def _fill(self) -> None:
        """Let rows join as long as there are some that may."""
        least = max(1, round(self.slots * WORTH_READING))
        while (room := self.slots - len(self.live)) > 0 and self._may_join():
            batch = self.waiting.find(self.columns, room, least)
            if batch is None:
                return
            if self.sessions is not None and len(self.live) < len(self.rows):
                self._select(self.sessions, self.live)
            numbers, sessions = self.waiting.take(batch, room, len(self.live))
            if self.sessions is None:
                self.sessions, self.columns = sessions, list(self.waiting.widths(batch))
                self.rows = self.ages = self.live = self.rows[:0]
                self.oldest = self.lost = 0
            else:
                self.sessions.join(sessions)
            rows = numbers.to(self.device) + self.first[batch]
            # As many as there are now in the sessions, copies of the last one included.
            copies = rows[-1:].expand(-(len(self.rows) + len(rows)) % FOURS)
            self.live = torch.cat([self.live, torch.arange(len(rows), device=self.device) + len(self.rows)])
            self.rows = torch.cat([self.rows, rows, copies])
            self.ages = torch.cat([self.ages, self.ages.new_zeros(len(rows) + len(copies))])

    def _may_join(self) -> bool:
        """Return whether prompts may be read now: where rows run, only if free places have cost enough."""
        return self.sessions is None or (self.refill and self.lost >= LOST_PASSES * self.slots)

    def _draw(self, said: Mapping[str, Tensor]) -> Tensor:
        """Draw a token for every row that runs, and return what all rows of the sessions read next."""
        if self.trace is None:
            self.trace = Trace(len(self.ended), self.longest, next(iter(said.values())))
        if self.draw is None:
            fused = fused_drawing(self.law, self.truncation, said) if self.fused else None
            self.draw = fused or drawing(self.law, self.truncation)
        tokens = torch.zeros_like(self.rows)
        for places, with_copies in self._parts(next(iter(said.values())).shape[-1]):
            uniforms = self.uniforms[self.rows[with_copies], self.ages[with_copies]]
            drawn = self.draw({role: logits[with_copies] for role, logits in said.items()}, uniforms)
            tokens[places] = drawn.ids[: len(places)]
            self.trace.write_drawn((self.rows[places], self.ages[places]), drawn)
        ids = tokens[self.live]
        ended_mask = torch.isin(ids, self.eos)
        self.ended[self.rows[self.live]] = ended_mask
        self.ages, self.oldest = self.ages + 1, self.oldest + 1
        self.live = self.live[~ended_mask & (self.ages[self.live] < self.longest)]
        return tokens

    def _parts(self, vocab: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows that run, as many as are drawn together, alone and with copies before them.

        What is left behind the last whole vector then belongs to a copy, of which nothing is written.
        """
        if not self.on_cpu:
            yield self.live, self.live
            return
        for places in self.live.split(DRAWN_TOGETHER):
            yield places, torch.cat([places, places[-1:].expand(-(-WHOLE_VECTORS // vocab))])

    def _advance(self, sessions: Lockstep, tokens: Tensor) -> None:
        assert self.columns is not None, "rows that run stand somewhere"
        # A row may not outgrow the longest answer, even if it has ended and is only there still.
        full = self.oldest >= self.longest or (self.on_cpu and sessions.columns >= SAME_SUMS)
        count = -(-len(self.live) // FOURS) * FOURS
        if full or count <= CROWDED * len(self.rows):
            stay = torch.cat([self.live, self.live[-1:].expand(count - len(self.live))])
            live = len(self.live)
            self._select(sessions, stay)
            tokens, self.live = tokens[stay], self.live[:live]
        sessions.advance(tokens)
        self.lost += self.slots - len(self.live)
        self.columns = [columns + 1 for columns in self.columns]

    def _select(self, sessions: Lockstep, stay: Tensor) -> None:
        sessions.select(stay)
        sessions.trim()
        self.rows, self.ages = self.rows[stay], self.ages[stay]
        self.oldest = int(self.ages.max())
        self.live = torch.arange(len(stay), device=self.device)

    def _finished(self, number: int) -> Rollout:
        assert self.trace is not None, "every batch has rows"
        batch, start = self.batches[number], self.first[number]
        rows = slice(start, start + len(batch) * self.samples)
        return finish(
            self.trace.part(rows), batch, self.law, self.truncation, self.models,
            ended=self.ended[rows], samples=self.samples, info=SamplerInfo(exact=True, seed=self.seed),
        )  # fmt: skip
