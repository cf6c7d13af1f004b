"""Rows by a number that the dataset brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qstar_pl.data.selection.filters import RowFilter, score
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RangeFilter(RowFilter):
    """Leaves out rows whose number in a column, or in the metadata, is too low, too high or missing.

    For Stanford-SHP, `column=score_ratio` with `minimum=2` keeps pairs whose better answer has twice the votes.
    """

    column: str = "score_ratio"
    """Name in the metadata, else a column of the native row; a dot leads into an object."""
    minimum: float | None = None
    """Smallest number that stays."""
    maximum: float | None = None
    """Largest number that stays."""

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise UserError("minimum must be given, or maximum, got neither")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise UserError(f"maximum must be at least minimum, got {self.maximum} and {self.minimum}")

    def reasons(self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None) -> list[str | None]:
        """See `RowFilter.reasons`."""
        return [self._reason(score(example, self.column, type(self).__name__)) for example in examples]

    def _reason(self, value: float | None) -> str | None:
        if value is None:
            return f"{self.column} is missing"
        if self.minimum is not None and value < self.minimum:
            return f"{self.column} is below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.column} is above {self.maximum:g}"
        return None
