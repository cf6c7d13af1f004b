"""Which rows are worth training on: strategies that leave rows out, with a reason each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from qstar_pl.data.subset import subset_rank
from qstar_pl.types import Example


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


def apply_filters(
    filters: Sequence[RowFilter], examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None
) -> tuple[list[Example], Counter[str]]:
    """Return what all filters leave, each looking at what those before it left, and the counts of the rest."""
    rejected: Counter[str] = Counter()
    for one in filters:
        reasons = one.reasons(examples, tokenizer)
        rejected.update(reason for reason in reasons if reason is not None)
        examples = [example for example, reason in zip(examples, reasons, strict=True) if reason is None]
    return list(examples), rejected
