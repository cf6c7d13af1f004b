"""Dialogues as lists of messages, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import need
from qstar_pl.data.keys import prompt_key
from qstar_pl.data.rendering import dialogue_prompt
from qstar_pl.data.rows import RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class Messages(Adapter):
    """Rows with a list of messages, each an object with `role` and `content`.

    Roles are system (or developer; at most one, the first message), user and assistant, the last two in turn, beginning
    with the user. If the last message is the assistant's it is the answer, and all before it the prompt; if it is the
    user's, all is prompt and there is no answer. `content` is a text or a list of text parts. White space around a
    message is dropped. Counted and left out: dialogues in another order, with tool calls or anything that is not text,
    with an empty message, or whose two answers are equal or answer different prompts.
    """

    messages_field: str = "messages"
    """Column of the messages."""
    rejected_field: str | None = None
    """Column of the worse answer: a text, or messages like the others whose last one is the worse answer."""

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        names = [name for name in (self.messages_field, self.rejected_field) if name is not None]
        need(row, names, where, type(self).__name__)
        prompt, chosen = _dialogue(row[self.messages_field], self.messages_field, where)
        rejected = None
        if self.rejected_field is not None:
            rejected = _rejected(row[self.rejected_field], self.rejected_field, where, prompt)
            if chosen is None:
                raise RowRejected("there is no preferred answer: the last message is not the assistant's")
        if chosen is not None and chosen == rejected:
            raise RowRejected("chosen equals rejected")
        return Example(prompt_key(dialogue_prompt(prompt)), prompt, chosen, rejected, {"source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        found = {
            "prompt": f"{self.messages_field}, up to its last answer",
            "chosen": f"{self.messages_field}, the last",
        }
        return found if self.rejected_field is None else {**found, "rejected": self.rejected_field}


def _rejected(value: Any, name: str, where: str, prompt: tuple[Turn, ...]) -> str:
    if isinstance(value, str):
        answer: str | None = value.strip()
    else:
        other, answer = _dialogue(value, name, where, answer_only=True)
        if other and other != prompt:
            raise RowRejected("the prompts of chosen and rejected differ")
    if not answer:
        raise RowRejected("there is no worse answer")
    return answer


def _dialogue(value: Any, name: str, where: str, *, answer_only: bool = False) -> tuple[tuple[Turn, ...], str | None]:
    """Return the prompt's turns and the answer; with `answer_only` a list of one answer has no prompt."""
    if not isinstance(value, list):
        raise UserError(f"{where}: {name} must be a list of messages, got {type(value).__name__}")
    turns = tuple(_turn(message, name, where) for message in value)
    if not all(turn.content for turn in turns):
        raise RowRejected("a message is empty")
    if answer_only and len(turns) == 1 and turns[0].role == "assistant":
        return (), turns[0].content
    spoken = turns[1:] if turns[:1] and turns[0].role == "system" else turns
    wanted = ["user" if number % 2 == 0 else "assistant" for number in range(len(spoken))]
    if not spoken or [turn.role for turn in spoken] != wanted:
        raise RowRejected("the messages do not alternate between user and assistant")
    return (turns[:-1], turns[-1].content) if turns[-1].role == "assistant" else (turns, None)


def _turn(message: Any, name: str, where: str) -> Turn:
    if not isinstance(message, dict) or "role" not in message or "content" not in message:
        got = ", ".join(sorted(message)) or "nothing" if isinstance(message, dict) else type(message).__name__
        raise UserError(f"{where}: {name} must hold objects with role and content, got one with {got}")
    role = message["role"]
    if not isinstance(role, str):
        raise UserError(f"{where}: a message's role must be text, got {type(role).__name__}")
    if role not in _ROLES or message.get("tool_calls"):
        raise RowRejected("a message is neither system's, user's nor assistant's, or calls a tool")
    return Turn(_ROLES[role], _content(message["content"], where).strip())


def _content(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise UserError(f"{where}: a message's content must be text or a list of parts, got {type(content).__name__}")
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    if not all(isinstance(part, str) for part in parts):
        raise RowRejected("a message holds something other than text")
    return "".join(map(str, parts))
