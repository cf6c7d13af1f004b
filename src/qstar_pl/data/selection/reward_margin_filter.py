"""Comparisons by how clear they are."""

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
class RewardMarginFilter(RowFilter):
    """Leaves out rows whose two answers' scores, which the dataset brings, are too close or too far apart.

    The margin is score of the preferred answer − score of the other. Columns are those of the native row; a dot leads
    into an object ("info.score"). Where the adapter found the scores (`SHP`, `UltraFeedback`), they are in the
    metadata, which is looked into first.
    """

    chosen_column: str = "score_chosen"
    """Column with the preferred answer's score."""
    rejected_column: str = "score_rejected"
    """Column with the other answer's score."""
    min_margin: float = 0.0
    """Smallest margin that stays."""
    max_margin: float | None = None
    """Largest margin that stays."""

    def __post_init__(self) -> None:
        if self.max_margin is not None and self.max_margin < self.min_margin:
            raise UserError(f"max_margin must be at least min_margin, got {self.max_margin} and {self.min_margin}")

    def reasons(self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None) -> list[str | None]:
        """See `RowFilter.reasons`."""
        return [self._reason(example) for example in examples]

    def _reason(self, example: Example) -> str | None:
        chosen, rejected = (
            score(example, column, type(self).__name__) for column in (self.chosen_column, self.rejected_column)
        )
        if chosen is None or rejected is None:
            return "a score is missing"
        if chosen - rejected < self.min_margin:
            return f"the reward margin is below {self.min_margin:g}"
        if self.max_margin is not None and chosen - rejected > self.max_margin:
            return f"the reward margin is above {self.max_margin:g}"
        return None
