"""What became of the rows: printed once, and kept as `datamodule.report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.batches.collate import Collate
from qstar_pl.data.batches.mixing import MixedOrder, training_order
from qstar_pl.data.selection import left_out
from qstar_pl.data.selection.preparation import Prepared
from qstar_pl.data.storage.encoded_rows import EncodedRows


@dataclass(frozen=True)
class PartReport:
    """One part of a mixture."""

    name: str
    rows_read: int
    rows_used: int
    train_items: int
    """Training rows that can be made into what the method trains on."""
    epoch_rows: int
    """How many rows of a training epoch are this part's, repetitions included."""
    held_out: bool = False
    """Whether it is never trained on."""

    def line(self, epoch: int) -> str:
        """Return the counts and the share of an epoch of `epoch` rows."""
        if self.held_out:
            return f"  part {self.name}: {self.rows_read} rows read, {self.rows_used} used, all held out"
        share, passes = self.epoch_rows / max(1, epoch), self.epoch_rows / max(1, self.train_items)
        return (
            f"  part {self.name}: {self.rows_read} rows read, {self.rows_used} used, {self.train_items} to train on; "
            f"{share:.1%} of an epoch, in which each is seen {passes:.3g} times"
        )


@dataclass(frozen=True)
class DataReport:
    """Counts of one `setup`. `rows_used` + all of `rejected` = `rows_read`."""

    source: str
    """Path and adapter."""
    rows_read: int
    rows_used: int
    rejected: Mapping[str, int]
    """Rows left out, per reason."""
    first: Mapping[str, str]
    """Of a reason, where its first row stands; none of those that are found after reading."""
    prompts_cut: int
    """Used rows whose prompt lost turns or tokens."""
    answers_cut: int
    """Answers that were cut and so have no EOS."""
    max_prompt_tokens: int
    max_completion_tokens: int
    train: int
    """Rows in the split, as of the two below."""
    val: int
    test: int
    kind: str
    """What a training batch is made of: the batch class's name."""
    train_items: int
    """Training rows that can be made into that (for prompts: distinct prompts)."""
    batch_size: int
    """Per process and micro-step; smaller than asked for if the training split is."""
    accumulate: int
    world_size: int
    parts: tuple[PartReport, ...] = ()
    """Of a mixture."""
    cache: str | None = None
    """What was done with the cache of token ids; None if it was left alone."""

    @property
    def effective_batch(self) -> int:
        """Rows per optimizer step: batch size × accumulation × processes."""
        return self.batch_size * self.accumulate * self.world_size

    def lines(self, *, training: bool = True) -> list[str]:
        """Return the report, one fact per line.

        Args:
            training: also what concerns training alone.

        """
        total = sum(self.rejected.values())
        of_training = [
            f"  training on {self.train_items} as {self.kind}",
            f"  effective batch {self.effective_batch} = {self.batch_size} per step "
            f"× {self.accumulate} accumulated × {self.world_size} processes",
        ]
        return [
            f"Data: {self.source}: {self.rows_read} rows read, {self.rows_used} used",
            *left_out.lines(self.rejected, self.first),
            *([f"  {total / self.rows_read:.1%} of all rows are left out"] if total else []),
            *(part.line(self.train_items) for part in self.parts),
            f"  {self.prompts_cut} prompts cut to {self.max_prompt_tokens} tokens, "
            f"{self.answers_cut} answers cut to {self.max_completion_tokens}",
            f"  train {self.train}, val {self.val}, test {self.test} rows (disjoint by prompt)",
            *(of_training if training else []),
            *([f"  {self.cache}"] if self.cache else []),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


@dataclass(frozen=True)
class BatchSize:
    """What makes up the rows of one optimizer step."""

    per_process: int
    accumulate: int
    world_size: int


def make_report(source: str, rows: Rows, prepared: Prepared, collate: type[Collate], batch: BatchSize) -> DataReport:
    """Return the counts of one `setup`."""
    training = collate.select(prepared.splits.train)
    return DataReport(
        source=source,
        rows_read=rows.read,
        rows_used=len(prepared.rows),
        rejected=dict(rows.rejected + prepared.rejected),
        first=dict(rows.first),
        prompts_cut=prepared.rows.prompts_cut,
        answers_cut=prepared.rows.answers_cut,
        max_prompt_tokens=prepared.encoder.max_prompt_tokens,
        max_completion_tokens=prepared.encoder.max_completion_tokens,
        train=len(prepared.splits.train),
        val=len(prepared.splits.val),
        test=len(prepared.splits.test),
        kind=collate.batch_type.__name__,
        train_items=len(training),
        batch_size=min(batch.per_process, max(1, len(training) // batch.world_size)),
        accumulate=batch.accumulate,
        world_size=batch.world_size,
        parts=_parts(rows, prepared, training),
        cache=prepared.cache,
    )


def _parts(rows: Rows, prepared: Prepared, training: EncodedRows) -> tuple[PartReport, ...]:
    if not rows.parts:
        return ()
    used, items = ([len(some.of_part(part.name)) for part in rows.parts] for some in (prepared.rows, training))
    counts = {part.name: count for part, count in zip(rows.parts, items, strict=True)}
    if training:
        # For its counts only, which depend on neither batch size nor seed.
        order = training_order(training, rows.parts, batch_size=1, seed=0)
        counts |= dict(zip(order.names, order.counts, strict=True)) if isinstance(order, MixedOrder) else {}
    return tuple(
        PartReport(part.name, part.read, of_used, of_items, counts[part.name], part.held_out)
        for part, of_used, of_items in zip(rows.parts, used, items, strict=True)
    )
