"""Which tokens top-k and top-p left over while answers were drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.types import KeptSets


class KeptRecorder:
    """Collects the kept ids of every drawn token; costs a look at the device per token."""

    def __init__(self) -> None:
        self._law: Tensor | None = None
        self._parts: list[tuple[Tensor, Tensor]] = []
        """(row × 2³² + time of each kept id, the ids), of one token of all rows."""

    def see(self, law_logprobs: Tensor) -> None:
        """Take the law [n, vocab] that the next tokens are drawn from; −inf is what was cut."""
        self._law = law_logprobs

    def note(self, rows: Tensor, time: int, mask: Tensor) -> None:
        """Say which answers [n] the law was of, at which time, and which of them [n] bool still run."""
        assert self._law is not None  # a law is seen before its tokens are noted
        row, ids = ((self._law > -torch.inf) & mask.unsqueeze(-1)).nonzero(as_tuple=True)
        self._parts.append(((rows[row] << 32) + time, ids))
        self._law = None

    def sets(self, rows: int, time: int) -> KeptSets:
        """Return what was noted of answers [rows, time]."""
        places, ids = (torch.cat(parts) for parts in zip(*self._parts, strict=True))
        order = places.argsort(stable=True)  # row by row; ids of one position stay in ascending order
        positions = (places >> 32) * time + (places & (2**32 - 1))
        return KeptSets(ids[order], positions.bincount(minlength=rows * time).view(rows, time))
