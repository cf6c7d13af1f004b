"""Where the tokens of rows of different lengths stand once some of them have been taken back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Alignment:
    """The columns of a batch whose rows have given back different numbers of tokens.

    All rows end in the last column again, as prompts padded on the left do, so that what was known to be right for such
    prompts stays right: tokens keep their positions and their distances. Masking the refused tokens out where they
    stand would leave holes, which models that count columns (sliding windows, ALiBi of some families) take for tokens,
    and which the cache would carry along for good.
    """

    columns: int
    """Before."""
    lengths: Tensor
    """[rows] int64: tokens that each row keeps, prompt included, at least 1."""
    counts: Tensor
    """[rows] int64: tokens that it gives back."""

    @classmethod
    def of(cls, columns: int, lengths: Tensor, counts: Tensor, own: Tensor) -> Alignment:
        """Return the alignment after a rewind.

        Args:
            columns: of the batch.
            lengths: [rows], tokens of every row.
            counts: [rows], how many of them it gives back.
            own: [rows], how many it may.

        Raises:
            ValueError: if a count is negative or larger than that.

        """
        if counts.shape != lengths.shape or bool(((counts < 0) | (counts > own)).any()):
            raise ValueError(f"counts must lie in [0, tokens appended], got {counts.tolist()} of {own.tolist()}")
        return cls(columns, lengths - counts, counts)

    @cached_property
    def kept(self) -> int:
        """Columns afterwards."""
        return self.columns - int(self.counts[0]) if self.even else int(self.lengths.max())

    @cached_property
    def even(self) -> bool:
        """Whether all rows give back as many: then the last columns go, and nothing moves."""
        return bool((self.counts == self.counts[0]).all())

    @cached_property
    def mask(self) -> Tensor:
        """[rows, kept] bool: where tokens stand afterwards."""
        return torch.arange(self.kept, device=self.lengths.device) >= self.kept - self.lengths.unsqueeze(-1)

    @cached_property
    def source(self) -> Tensor:
        """[rows, kept] int64: the column that each column was before; any, where a pad comes to stand."""
        # A row's last kept token stood in column columns − counts − 1 and comes to stand in kept − 1.
        first = self.columns - self.counts - self.kept
        return (first.unsqueeze(-1) + torch.arange(self.kept, device=first.device)).clamp_min_(0)

    @cached_property
    def moved(self) -> Tensor:
        """[n] int64: the rows that give something back."""
        return self.counts.nonzero().squeeze(-1)

    def apply(self, values: Tensor, dim: int = 1) -> Tensor:
        """Return `values` [rows, …, columns, …] with the columns of `dim` as they stand afterwards."""
        if self.even:
            # A view: caches and ids of many rows are not copied when all rows give back as many.
            return values.narrow(dim, 0, self.kept)
        # A row that gives nothing back stays where it is, next to the end: only the others are copied.
        stays = values.narrow(dim, self.columns - self.kept, self.kept)
        moved = self.moved.to(values.device)
        shape = [1] * values.dim()
        shape[0], shape[dim] = len(moved), self.kept
        index = self.source[self.moved].to(values.device).view(shape)
        moves = torch.take_along_dim(values[moved], index, dim=dim)
        return moves if len(moved) == len(values) else stays.index_copy(0, moved, moves)
