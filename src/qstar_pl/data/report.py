"""What became of the rows: printed once, and kept as `datamodule.report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from qstar_pl.data.wording import worded


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

    def line(self, epoch: int) -> str:
        """Return the counts and the share of an epoch of `epoch` rows."""
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
        """Rows per optimiser step: batch size × accumulation × processes."""
        return self.batch_size * self.accumulate * self.world_size

    def lines(self) -> list[str]:
        """Return the report, one fact per line."""
        left_out = sum(self.rejected.values())
        reasons = [f"  {count} left out: {reason}" for reason, count in sorted(self.rejected.items())]
        return [
            f"Data: {self.source}: {self.rows_read} rows read, {self.rows_used} used",
            *reasons,
            *([f"  {left_out / self.rows_read:.1%} of all rows are left out"] if left_out else []),
            *(part.line(self.train_items) for part in self.parts),
            f"  {self.prompts_cut} prompts cut to {self.max_prompt_tokens} tokens, "
            f"{self.answers_cut} answers cut to {self.max_completion_tokens}",
            f"  train {self.train}, val {self.val}, test {self.test} rows (disjoint by prompt); "
            f"training on {self.train_items} as {self.kind}",
            f"  effective batch {self.effective_batch} = {self.batch_size} per step "
            f"× {self.accumulate} accumulated × {self.world_size} processes",
            *([f"  {self.cache}"] if self.cache else []),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


@rank_zero_only
def announce(text: str) -> None:
    """Print what was found out about the data, on one process only."""
    Console().print(worded(text), markup=False, highlight=False, soft_wrap=True)
