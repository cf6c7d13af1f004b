"""Answers while they grow: tokens that stand, and proposals behind them."""

from __future__ import annotations

import torch
from torch import Tensor


class Answers:
    """The rows that still run; `ids` hold what stands, up to `lengths`, and what is proposed behind it."""

    def __init__(self, prompts: list[list[int]], columns: int, device: torch.device) -> None:
        """Begin with empty answers.

        Args:
            prompts: the tokens of each row's prompt, without pads.
            columns: room for tokens per row.
            device: of the tensors.

        """
        rows = len(prompts)
        self.prompts = prompts
        self.ids = torch.zeros(rows, columns, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)

    def __len__(self) -> int:
        return len(self.lengths)

    def put(self, place: int, tokens: Tensor) -> None:
        """Write `tokens` [rows] behind what stands and `place` tokens more."""
        self.ids.scatter_(1, (self.lengths + place).unsqueeze(-1), tokens.unsqueeze(-1))

    def window(self, first: Tensor, count: int) -> Tensor:
        """Return the tokens [rows, count] from position `first` [rows] on."""
        return self.ids.gather(1, first.unsqueeze(-1) + torch.arange(count, device=first.device))

    def select(self, rows: Tensor) -> None:
        """Go on with `rows` [n] alone."""
        self.ids, self.lengths = self.ids[rows], self.lengths[rows]
        self.prompts = [self.prompts[row] for row in rows.tolist()]
