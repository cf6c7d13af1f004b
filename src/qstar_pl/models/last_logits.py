"""The logits behind the last token of every row, and those before them that are still at hand."""

from __future__ import annotations

import torch
from torch import Tensor


class LastLogits:
    """Keeps what the last pass said, so that taking back some of its tokens costs no other pass."""

    def __init__(self, block: Tensor) -> None:
        """Remember the logits [rows, k, vocab] behind the last k tokens of every row."""
        self._block: Tensor | None = block

    @property
    def known(self) -> Tensor | None:
        """[rows, vocab] behind every row's last token; None: not computed."""
        return None if self._block is None else self._block[:, -1]

    def rewind(self, counts: Tensor) -> None:
        """Follow a rewind by `counts` [rows]."""
        if self._block is None or int(counts.max()) >= self._block.shape[1]:
            # A row that gives nothing back knows its logits, but one pass serves all rows.
            self._block = self._block if self._block is not None and not bool(counts.any()) else None
        else:
            rows = torch.arange(len(counts), device=self._block.device)
            self._block = self._block[rows, self._block.shape[1] - 1 - counts.to(rows.device)].unsqueeze(1)

    def select(self, rows: Tensor) -> None:
        """Follow a choice of `rows` [n]."""
        self._block = None if self._block is None else self._block[rows]
