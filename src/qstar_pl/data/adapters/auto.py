"""An adapter that looks at the first row and says what it makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.hh_rlhf import HHRLHF
from qstar_pl.data.adapters.messages import Messages
from qstar_pl.data.adapters.prompt_response import PromptResponse
from qstar_pl.data.report import announce
from qstar_pl.data.rows import Rows
from qstar_pl.errors import UserError
from qstar_pl.types import Example

MESSAGES = "messages"
PROMPTS = ("prompt", "question", "instruction", "input", "text", "problem")
"""Columns that are taken for the prompt; the first that is there counts."""
RESPONSES = ("response", "answer", "output", "completion", "solution")
"""Columns that are taken for the answer; the first that is there counts."""
PAIR = ("chosen", "rejected")


@dataclass(frozen=True)
class Auto(Adapter):
    """Chooses an adapter by the names of the first row's columns, in this order, and prints its choice.

    1. `messages`: `Messages`.
    2. `chosen` and `rejected`: `Messages` if they are lists; with one of the prompt columns below `PromptResponse`;
       else `HHRLHF`.
    3. A prompt column (prompt, question, instruction, input, text, problem) and a response column (response, answer,
       output, completion, solution): `PromptResponse`. `instruction` and `input` together are both prompt, as in
       Alpaca's rows. Without a response column, rows are prompts only.

    All rows are then read with that adapter, so a row without its columns is an error, not another choice.
    """

    def choose(self, row: Row, where: str) -> Adapter:
        """Return the adapter for rows like this one.

        Raises:
            UserError: if no rule fits, naming the columns that are there.

        """
        if MESSAGES in row:
            return Messages()
        prompt = _first(PROMPTS, row)
        if all(side in row for side in PAIR):
            chosen, rejected = PAIR
            if isinstance(row[chosen], list):
                return Messages(chosen, rejected)
            return HHRLHF() if prompt is None else PromptResponse(prompt, chosen, rejected)
        if prompt is None:
            raise UserError(
                f"{where}: Auto needs the column {MESSAGES}, both of {', '.join(PAIR)}, or one of "
                f"{', '.join(PROMPTS)}; the row has {', '.join(sorted(row)) or 'none'}"
            )
        context = "input" if prompt == "instruction" and "input" in row else None
        return PromptResponse(prompt, _first(RESPONSES, row), context_field=context)

    def example(self, row: Row, where: str) -> Example:
        """Convert one row with the adapter that fits it."""
        return self.choose(row, where).example(row, where)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return self.choose(row, "the row").fields(row)

    def read(self, path: str, split: str | None = None, max_rows: int | None = None) -> Rows:
        """Read with the adapter that the first row asks for; see `RowSource.read`."""
        first = next(iter(self.rows(path, split)), None)
        if first is None:
            return Rows([], 0)
        where, row = first
        adapter = self.choose(row, where)
        found = ", ".join(f"{role} = {column}" for role, column in adapter.fields(row).items())
        announce(f"Auto: {path}: read as {type(adapter).__name__} with {found}")
        return adapter.read(path, split, max_rows)


def _first(names: Iterable[str], row: Row) -> str | None:
    return next((name for name in names if name in row), None)
