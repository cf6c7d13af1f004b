"""Two answers to one prompt, and who won."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.answers import PROMPTS_DIFFER, answered, prompt_turns
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example, Turn


@dataclass(frozen=True)
class Duel:
    """One comparison as a dataset tells it."""

    first: Any
    """An answer: text, messages, or a whole dialogue."""
    second: Any
    """The other one."""
    lead: float
    """Above 0: the first is better; below: the second; 0: a tie."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the example keeps beside `margin`, which is |lead|."""


@dataclass(frozen=True)
class Comparison(Adapter):
    """Rows with two answers. The better one is `chosen`, the other `rejected`; ties are counted and left out."""

    @abstractmethod
    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the prompt's turns; none if the answers are whole dialogues.

        Raises:
            RowError: if a column is missing or of the wrong type.

        """

    @abstractmethod
    def duel(self, row: Row, where: str) -> Duel:
        """Return the answers and which one is better.

        Raises:
            RowError: if a column is missing or of the wrong type.

        """

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        prompt, duel = self.prompt(row, where), self.duel(row, where)
        if duel.lead == 0:
            raise RowRejected("a tie: neither answer is preferred")
        better, worse = (duel.first, duel.second) if duel.lead > 0 else (duel.second, duel.first)
        turns, chosen = answered(prompt, better, "the better answer", where)
        other, rejected = answered(prompt, worse, "the worse answer", where)
        if chosen is None or rejected is None:
            raise RowRejected("an answer is empty")
        if turns != other:
            raise RowRejected(PROMPTS_DIFFER)
        return dialogue_example(turns, chosen, rejected, {"source": where, **duel.metadata, "margin": abs(duel.lead)})

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        # `fields` describes columns in words, among which their names are found.
        named = " ".join(self.fields(row).values()).replace(",", " ").replace(".", " ").split()
        return [name for name in row if name in named]


def text_prompt(row: Row, name: str, where: str) -> tuple[Turn, ...]:
    """Return the turns of a prompt column; see `prompt_turns`.

    Raises:
        RowError: if the column is missing or of the wrong type.
        RowRejected: if it is empty.

    """
    if row.get(name) in (None, "", []):
        raise RowRejected("the prompt is empty")
    return prompt_turns(row[name], name, where)
