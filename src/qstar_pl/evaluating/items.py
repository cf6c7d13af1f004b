"""What is evaluated: prompts with their answers, and those that they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.errors import UserError
from qstar_pl.evaluating.prompts import Prompts
from qstar_pl.evaluating.sources.source import Answered
from qstar_pl.types import Example

NO_ANSWER = "no answer to it was given"


@dataclass(frozen=True)
class Item:
    """A prompt that was answered."""

    row: int
    """Of the data."""
    example: Example
    answers: tuple[str, ...]
    """One or more."""
    baseline: tuple[str, ...] = ()
    """One or more; none if nothing is compared."""

    def pairs(self) -> list[tuple[str, str]]:
        """Return each answer with one of the baseline's; of fewer baseline answers, each is met by several."""
        return [(text, self.baseline[number % len(self.baseline)]) for number, text in enumerate(self.answers)]


def items_of(prompts: Prompts, answers: Answered, baseline: Answered | None) -> list[Item]:
    """Return the rows of the data that have answers, in their order.

    Raises:
        UserError: if the baseline has not answered one of them.

    """
    others = {} if baseline is None else baseline.texts
    items = [
        Item(row.index, row.example, answers.texts[row.index], others.get(row.index, ()))
        for row in prompts.rows
        if row.index in answers.texts
    ]
    if baseline is not None and (without := [item for item in items if not item.baseline]):
        where = without[0].example.metadata.get("source", f"row {without[0].row}")
        raise UserError(
            f"baseline must answer every prompt that is answered, got {len(items) - len(without)} of {len(items)}; "
            f"the first without is {where}"
        )
    return items


def samples(items: Sequence[Item]) -> tuple[int, int]:
    """Return the fewest and the most answers to a prompt."""
    counts = [len(item.answers) for item in items]
    return min(counts), max(counts)
