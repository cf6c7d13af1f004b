"""What each row adds to a metric: kept per prompt, added up over batches and ranks, and drawn again for intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

Per = Literal["answer", "prompt"]


@dataclass(frozen=True)
class Scores:
    """One name's row scores, in float64: a sum of 2²⁵ ones is still right."""

    values: Tensor
    """[rows], or [rows, width] where the number is formed of several sums (counts of n-grams, nats and tokens)."""
    mask: Tensor
    """[rows] bool: True where there was something to measure (a reference, tests, …); other rows count nowhere."""
    per: Per = "answer"
    """Whether a row is an answer (prompts × samples, a prompt's side by side) or a prompt."""

    def __post_init__(self) -> None:
        """Check the shapes, and cut the scores from the graph.

        Raises:
            ValueError: if values and mask do not have the same rows.

        """
        if self.values.ndim not in (1, 2) or self.mask.shape != self.values.shape[:1]:
            shapes = f"values {[*self.values.shape]} and mask {[*self.mask.shape]}"
            raise ValueError(f"scores must be [rows] or [rows, width] with a mask [rows], got {shapes}")
        object.__setattr__(self, "values", wide(self.values.detach()))
        object.__setattr__(self, "mask", self.mask.detach().bool().to(self.values.device))

    @classmethod
    def all(cls, values: Tensor, per: Per = "answer") -> Self:
        """Return scores of rows that all count; `values` [rows] or [rows, width] are numbers or truth values."""
        return cls(values, torch.ones(len(values), dtype=torch.bool, device=values.device), per)

    @classmethod
    def of(cls, values: Sequence[float | None], per: Per = "answer") -> Self:
        """Return scores of rows as plain numbers; None where there was nothing to measure."""
        mask = torch.tensor([value is not None for value in values], dtype=torch.bool)
        return cls(torch.tensor([value or 0.0 for value in values], dtype=torch.float64), mask, per)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def counted(self) -> Tensor:
        """The values of the rows that count [counted] or [counted, width]."""
        return self.values[self.mask]

    def without_nan(self, name: str) -> Scores:
        """Return the scores without rows that are not a number, of which a warning names `name` and how many."""
        missing = self.values.isnan()
        missing = (missing.any(-1) if missing.ndim > 1 else missing) & self.mask
        if not missing.any():
            return self
        rank_zero_warn(f"{name}: values that are not a number are left out of the mean, here {int(missing.sum())}")
        return Scores(self.values, self.mask & ~missing, self.per)


def wide(values: Tensor) -> Tensor:
    """Return numbers in float64, on the CPU where their device has none."""
    return (values.cpu() if values.device.type == "mps" else values).double()
