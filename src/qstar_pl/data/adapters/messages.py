"""Dialogues as lists of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.answers import PROMPTS_DIFFER
from qstar_pl.data.adapters.columns import need
from qstar_pl.data.adapters.dialogue import dialogue, parted, same
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.adapters.judged import Judged, detect_judgement
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example, Turn

COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat")
"""Columns that are taken for the dialogue; the first that holds messages counts."""
_OF_TEXTS = ("conversations", "conversation", "dialogue", "dialog", "chat")
"""Those of them whose lists of texts are dialogues; elsewhere such a list may be the user's turns alone."""


@dataclass(frozen=True)
class Messages(Judged):
    """Rows with a list of messages: objects with `role` and `content` (OpenAI), or `from` and `value` (ShareGPT).

    Roles are system (or developer; at most one, the first message), user (human) and assistant (gpt), the last two in
    turn, beginning with the user. If the last message is the assistant's it is the answer, and all before it the
    prompt; if it is the user's, all is prompt and there is no answer. `content` is a text or a list of text parts.
    Texts are kept as they are; an empty system message is dropped. Tool calls become text of their turn, and tools'
    results turns of the user's, in the form of Hermes's and Qwen's templates. A list of texts (LIMA) is spoken by user
    and assistant in turn. An object of lists (as Arrow stores a list of objects) and JSON text are read as well.

    Counted and left out: dialogues in another order, with anything that is not text, with an empty message, or whose
    two answers are equal or answer different prompts. Null for the worse answer is absence.
    """

    messages_field: str = "messages"
    """Column of the messages."""
    rejected_field: str | None = None
    """Column of the worse answer: a text, or messages like the others whose last one is the worse answer."""

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        names = [name for name in (self.messages_field, self.rejected_field) if name is not None]
        need(row, names, where, type(self).__name__)
        said = row[self.messages_field]
        turns = dialogue(
            _in_turn(said) if self._takes_texts() and _is_texts(said) else said, self.messages_field, where
        )
        if turns[:1] and turns[0].role != "system":
            turns = (*self.system(row, where), *turns)
        prompt, chosen = parted(turns)
        rejected = None
        if self.rejected_field is not None and row[self.rejected_field] is not None:
            rejected = _rejected(row[self.rejected_field], self.rejected_field, where, prompt)
            if chosen is None:
                raise RowRejected("there is no preferred answer: the last message is not the assistant's")
        chosen, metadata = self.judged(row, where, chosen)
        return dialogue_example(prompt, chosen, rejected if chosen is not None else None, metadata)

    def _takes_texts(self) -> bool:
        return self.messages_field in _OF_TEXTS or self.messages_field not in COLUMNS

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        found = {
            "prompt": f"{self.messages_field}, up to its last answer",
            "chosen": f"{self.messages_field}, the last",
        }
        found |= {} if self.rejected_field is None else {"rejected": self.rejected_field}
        return found | self.judging_fields()

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        names = (self.messages_field, self.rejected_field, *self.judging_columns())
        return [name for name in names if name is not None]

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Take whole dialogues in `chosen` and `rejected`, else the first column of messages (see `COLUMNS`)."""
        if table.holds(Kind.DIALOGUE, of=("chosen", "rejected")):
            if table.share("chosen", _holds_prompt) <= 0.5:
                return None
            judgement, _ = detect_judgement(table, ("chosen", "rejected"))
            system = {key: value for key, value in judgement.items() if key == "system_field"}
            return Claim(Confidence.WHOLE_PAIRS, cls("chosen", "rejected", **system))
        column = table.first(COLUMNS, Kind.DIALOGUE)
        column = column or next((name for name in _OF_TEXTS if table.share(name, _is_texts) > 0.5), None)
        if column is None:
            return None
        judgement, remarks = detect_judgement(table, (column,))
        return Claim(Confidence.DIALOGUES, cls(column, **judgement), remarks)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _in_turn(texts: Sequence[str]) -> list[Mapping[str, str]]:
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def _holds_prompt(value: Any) -> bool:
    try:
        turns = dialogue(value, "", "")
    except (RowRejected, ValueError):
        return True
    return not turns or turns[0].role != "assistant"


def _rejected(value: Any, name: str, where: str, prompt: tuple[Turn, ...]) -> str:
    if isinstance(value, str) and not value.lstrip().startswith("[{"):
        answer: str | None = value
    else:
        turns = dialogue(value, name, where)
        if len(turns) == 1 and turns[0].role == "assistant":
            return turns[0].content
        # The worse side may lack the system turn that the better one has.
        system = prompt[:1] if prompt[0].role == "system" and turns[:1] and turns[0].role != "system" else ()
        other, answer = parted((*system, *turns))
        if not same(other, prompt):
            raise RowRejected(PROMPTS_DIFFER if answer is not None else "there is no worse answer")
    if not answer or not answer.strip():
        raise RowRejected("there is no worse answer")
    return answer
