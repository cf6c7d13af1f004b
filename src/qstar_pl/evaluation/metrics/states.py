"""What metrics have measured so far, as the state of one torchmetrics metric."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchmetrics
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from qstar_pl.distributed.ranks import said_by_ranks
from qstar_pl.evaluation.metrics.scores import Per, Scores, wide

Key = tuple[int, str, str | None]
"""A metric's place in the list, a name of its own, and the part of a mixture; None: all rows."""


@dataclass(frozen=True)
class Slot:
    """What one piece of the state belongs to."""

    metric: int
    """Its place in the list of metrics."""
    name: str
    shape: tuple[int, ...]
    per: Per | None
    """What its rows are; None: it is a sum, to which that of the next batch is added."""
    part: str | None = None
    """Of a mixture; None: all rows."""

    @property
    def key(self) -> Key:
        """What pieces of different batches and ranks have in common."""
        return self.metric, self.name, self.part


class States(torchmetrics.Metric):
    """Sums and rows of all metrics, brought together over the ranks in one gather.

    torchmetrics keeps the state on the module's device and in float64, out of checkpoints, and brings vectors of
    different lengths together; what a rank has measured, another one may not have. Its own "sum" would need a state per
    sum, the same on every rank, and a gather each: so all pieces lie in one state of kind "cat", each rank says what
    its pieces are, and they are added up here, one by one, so that no digit depends on what else is measured.
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__(compute_with_cache=False)
        self.pieces: list[Tensor] | Tensor
        self.add_state("pieces", [], dist_reduce_fx="cat")
        self.slots: list[Slot] = []

    def update(self, metric: int, name: str, values: Tensor, per: Per | None = None, part: str | None = None) -> None:
        """Add a sum [] or [width] of a metric; or, where it is said what they are, rows [rows] or [rows, width]."""
        assert isinstance(self.pieces, list)
        slot = Slot(metric, name, tuple(values.shape), per, part)
        piece = wide(values.detach().to(self._place)).flatten()
        same = (place for place, one in enumerate(self.slots) if per is None and one.key == slot.key)
        if (place := next(same, None)) is None:
            self.pieces.append(piece)
            self.slots.append(slot)
        elif self.slots[place] == slot:
            self.pieces[place] = self.pieces[place] + piece
        else:
            raise ValueError(f"{name} must have one width, got {[*self.slots[place].shape]} and {[*slot.shape]}")

    def compute(self) -> Tensor:
        """Return the pieces of all ranks, rank by rank, end to end."""
        return dim_zero_cat(self.pieces) if len(self.pieces) else torch.zeros(0)

    @property
    def _place(self) -> torch.device:
        """Where the pieces are: with the module, but never on a device without float64."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    def reset(self) -> None:
        """Forget what was measured."""
        super().reset()
        self.slots = []

    def over_ranks(self) -> dict[Key, Tensor | Scores]:
        """Return the sums, and the rows that count, of all ranks; every rank must call it."""
        # A rank that has measured nothing takes part with an empty piece of the dtype of the others'.
        self.update(-1, "", torch.zeros(0))
        slots = [slot for of_rank in said_by_ranks(self.slots) for slot in of_rank]
        flat = self.compute().reshape(-1)  # torchmetrics makes a single number of what has one element
        found: dict[Key, Tensor | Scores] = {}
        for slot, piece in zip(slots, flat.split([torch.Size(slot.shape).numel() for slot in slots]), strict=True):
            value, so_far = piece.view(slot.shape), found.get(slot.key)
            if slot.per is not None:
                rows = _below(so_far.values, value) if isinstance(so_far, Scores) else value
                found[slot.key] = Scores.all(rows, slot.per)
            else:
                found[slot.key] = so_far + value if isinstance(so_far, Tensor) else value
        in_order = sorted(found, key=lambda key: (key[0], key[1], key[2] or ""))
        return {key: found[key] for key in in_order if key[0] >= 0}


def _below(rows: Tensor, more: Tensor) -> Tensor:
    """Return rows with more of them below; the narrower ones are filled up with NaN."""
    if rows.ndim > 1 and rows.shape[1] != more.shape[1]:
        width = max(rows.shape[1], more.shape[1])
        rows, more = (torch.nn.functional.pad(one, (0, width - one.shape[1]), value=torch.nan) for one in (rows, more))
    return torch.cat([rows, more])
