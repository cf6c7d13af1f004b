"""Counting what became of the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from qstar_pl.data.collate import Collate
from qstar_pl.data.encoding import Encoded
from qstar_pl.data.mixed_order import MixedOrder
from qstar_pl.data.preparation import Prepared
from qstar_pl.data.report import DataReport, PartReport
from qstar_pl.data.rows import Rows
from qstar_pl.data.training_order import training_order


@dataclass(frozen=True)
class BatchSize:
    """What makes up the rows of one optimiser step."""

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
        prompts_cut=sum(row.prompt_cut for row in prepared.rows),
        answers_cut=sum(row.answers_cut for row in prepared.rows),
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


def _parts(rows: Rows, prepared: Prepared, training: list[Encoded]) -> tuple[PartReport, ...]:
    if not rows.parts:
        return ()
    used, items = (Counter(row.example.metadata["part"] for row in encoded) for encoded in (prepared.rows, training))
    counts = [items[part.name] for part in rows.parts]
    if training:
        order = training_order(training, rows.parts, batch_size=1, seed=0)
        counts = order.counts if isinstance(order, MixedOrder) else counts
    return tuple(
        PartReport(part.name, part.read, used[part.name], items[part.name], count)
        for part, count in zip(rows.parts, counts, strict=True)
    )
