"""Which rows are worth training on: strategies that leave rows out, with a reason each."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.selection.subset import subset_rank
from qstar_pl.data.storage.examples import Examples, as_examples
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RowFilter(ABC):
    """Looks at all rows and says which to leave out."""

    @abstractmethod
    def reasons(self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None) -> list[str | None]:
        """Return for each row why it is left out, None if it stays.

        Raises:
            UserError: if a row lacks what the filter judges by, or there is no tokenizer to count tokens with.

        """


@dataclass(frozen=True)
class DuplicatePrompts(RowFilter):
    """Keeps one row of each prompt: the first in the order of sub-sampling, so that subsets stay nested."""

    def reasons(self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None) -> list[str | None]:
        """See `RowFilter.reasons`."""
        best: dict[int, tuple[bytes, int]] = {}
        for number, example in enumerate(examples):
            rank = (subset_rank(example), number)
            best[example.key] = min(rank, best.get(example.key, rank))
        kept = {number for _, number in best.values()}
        return [None if number in kept else "another row has the same prompt" for number in range(len(examples))]


def score(example: Example, column: str, filter_name: str) -> float | None:
    """Return a number that an example has: in its metadata, else in its native row; None where it is null.

    Args:
        example: the example.
        column: name in the metadata or of a column; a dot leads into an object ("info.score").
        filter_name: who asks, for the error message.

    Raises:
        UserError: if there is no such column, or it does not hold numbers.

    """
    where = example.metadata.get("source", "a row")
    row = example.metadata.get("row", {})
    value: Any = example.metadata if column.split(".")[0] in example.metadata else row
    for name in column.split("."):
        if not isinstance(value, Mapping) or name not in value:
            present = ", ".join(sorted(value)) if isinstance(value, Mapping) else type(value).__name__
            raise UserError(f"{where}: {filter_name} needs the column {column}; there is {present or 'none'}")
        value = value[name]
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool):
        raise UserError(f"{where}: {column} must be a number, got {type(value).__name__}")
    return None if math.isnan(number) else number


def apply_filters(
    filters: Sequence[RowFilter], examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None
) -> tuple[Examples, Counter[str]]:
    """Return what all filters leave, each looking at what those before it left, and the counts of the rest."""
    kept, rejected = as_examples(examples), Counter[str]()
    for one in filters:
        reasons = one.reasons(kept, tokenizer)
        # A row is counted once, under the first filter that leaves it out.
        rejected.update(reason for reason in reasons if reason is not None)
        numbers = [number for number, reason in enumerate(reasons) if reason is None]
        kept = kept if len(numbers) == len(kept) else kept.take(numbers)
    return kept, rejected
