"""Batches of prompts that are answered together: the unit that is dealt to a process, written, and repeated if lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from qstar_pl.data.batches.collate import PromptCollate
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.types import PromptBatch, TensorFields


@dataclass(frozen=True)
class Unit(TensorFields):
    """The prompts of one entry of `Plan.batches`."""

    batches: tuple[PromptBatch, ...]
    """As many prompts each as are decoded together, padded on their own."""

    def map_tensors(self, function: Callable[[Tensor], Tensor]) -> Unit:
        """See `TensorFields.map_tensors`."""
        return replace(self, batches=tuple(batch.map_tensors(function) for batch in self.batches))


@dataclass(frozen=True)
class UnitCollate(PromptCollate):
    """Pads the prompts of a unit batch by batch."""

    size: int = 1
    """Prompts decoded together."""

    def __call__(self, rows: Sequence[Encoded]) -> Unit:  # type: ignore[override]  # a unit of what is promised
        """Make one unit."""
        starts = range(0, len(rows), self.size)
        return Unit(tuple(self.prompts(rows[start : start + self.size]) for start in starts))
