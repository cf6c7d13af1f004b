"""Rows by the length of their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qstar_pl.checks import at_least
from qstar_pl.data.selection.filters import RowFilter
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class LengthFilter(RowFilter):
    """Leaves out rows whose prompt (all turns together) or answers (each of them) are too short or too long."""

    unit: Literal["characters", "words", "tokens"] = "characters"
    """What is counted; tokens are those of the texts alone, without template and EOS."""
    min_prompt: int | None = None
    """Shortest prompt that stays."""
    max_prompt: int | None = None
    """Longest prompt that stays."""
    min_response: int | None = None
    """Shortest answer that stays; rows without answers are not judged by it."""
    max_response: int | None = None
    """Longest answer that stays."""

    def __post_init__(self) -> None:
        limits = {name: getattr(self, name) for name in ("min_prompt", "max_prompt", "min_response", "max_response")}
        for name, limit in limits.items():
            at_least(0, **{name: limit})
        for text in ("prompt", "response"):
            low, high = limits[f"min_{text}"], limits[f"max_{text}"]
            if low is not None and high is not None and low > high:
                raise UserError(f"min_{text} must be at most max_{text}, got {low} and {high}")
        if all(limit is None for limit in limits.values()):
            raise UserError(f"LengthFilter must have at least one of {', '.join(limits)}, got none")

    def reasons(self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase | None) -> list[str | None]:
        """See `RowFilter.reasons`."""
        count = self._counter(tokenizer)
        return [self._reason(example, count) for example in examples]

    def _counter(self, tokenizer: PreTrainedTokenizerBase | None) -> Callable[[str], int]:
        if self.unit == "characters":
            return len
        if self.unit == "words":
            return lambda text: len(text.split())
        if tokenizer is None:
            raise UserError("unit must be characters or words where there is no tokenizer, got tokens")
        # verbose=False: no warning about texts that are longer than the model takes, which are what is looked for.
        return lambda text: len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _reason(self, example: Example, count: Callable[[str], int]) -> str | None:
        if self.min_prompt is not None or self.max_prompt is not None:
            prompt = sum(count(turn.content) for turn in example.turns)
            if reason := self._outside("the prompt", prompt, self.min_prompt, self.max_prompt):
                return reason
        if self.min_response is not None or self.max_response is not None:
            for answer in (example.chosen, example.rejected):
                if answer is not None and (
                    reason := self._outside("an answer", count(answer), self.min_response, self.max_response)
                ):
                    return reason
        return None

    def _outside(self, what: str, length: int, low: int | None, high: int | None) -> str | None:
        if low is not None and length < low:
            return f"{what} has less than {low} {self.unit}"
        if high is not None and length > high:
            return f"{what} has more than {high} {self.unit}"
        return None
