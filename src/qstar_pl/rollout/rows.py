"""Which rows of a batch still run, without asking the device at every token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qstar_pl.models.padding import LEAST_ROWS

CROWDED = 7 / 8
"""Once no more than this share of a batch's rows still run, the others leave it: that copies the caches of those that
stay, about as much as a token costs them."""


class Rows:
    """The rows of some sessions that grow in lockstep."""

    def __init__(self, count: int, device: torch.device) -> None:
        """Let all rows run.

        Args:
            count: number of rows.
            device: of the sessions' logits.

        """
        self.live = torch.arange(count, device=device)
        """Rows that ran when somebody last looked: tokens are drawn for these."""
        self.running = torch.ones(count, dtype=torch.bool, device=device)
        """[live] bool: which of them still do."""
        self._kept = self.live  # the sessions' rows: the live ones, and ended ones that have not left yet
        self._places = self.live  # of the live rows among those

    def pick(self, values: Tensor) -> Tensor:
        """Return those rows of the sessions' [rows, …] that are live; ended rows cost no arithmetic."""
        return values if len(self.live) == len(values) else values[self._places]

    def end(self, mask: Tensor) -> None:
        """Let rows end where `mask` [live] is True."""
        self.running = self.running & ~mask

    def spread(self, ids: Tensor) -> Tensor:
        """Return tokens [live] as what the sessions read next: rows that have ended go on with token 0."""
        if len(self.live) == len(self._kept):
            return ids
        return ids.new_zeros(len(self._kept)).index_copy(0, self._places, ids)

    def look(self, count: int, select: Callable[[Tensor], None], read: Tensor) -> Tensor:
        """Draw no more for rows that have ended, and let them leave the sessions if they are many.

        Args:
            count: number of rows that still run, as the caller has read it.
            select: lets the sessions go on with the rows [n] given by their places.
            read: [rows of the sessions] what `spread` made of their tokens.

        Returns:
            `read` of the rows that stay.

        """
        self.live = self.live[self.running]
        self.running = torch.ones_like(self.running[:count])
        if max(LEAST_ROWS, count) <= CROWDED * len(self._kept):
            stay = self._stay(count)
            places = torch.searchsorted(self._kept, stay)
            select(places)
            self._kept, read = stay, read[places]
        self._places = torch.searchsorted(self._kept, self.live)
        return read

    def _stay(self, count: int) -> Tensor:
        """Return the rows that stay, in ascending order: the live ones, and ended ones if those are few."""
        ended = self._kept[~torch.isin(self._kept, self.live)]
        return torch.cat([self.live, ended[: max(0, LEAST_ROWS - count)]]).sort().values
