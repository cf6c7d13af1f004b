"""Lists of messages, in the forms that people write them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.types import Turn

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
}
"""Who speaks, by the names that datasets give them (in lower case)."""
_ROLE_KEYS = ("role", "from", "speaker")
_LISTED = re.compile(r"\s*\[\s*\{")
_TEXT_KEYS = ("content", "value", "text")
_SPEAKERS = (("user", "input"), ("assistant", "output"))
NOT_IN_TURN = "the messages do not alternate between user and assistant"


def is_dialogue(value: Any) -> bool:
    """Tell whether a value is a list of messages: of objects, an object of lists, text of a list; or one message."""
    listed = _as_list(value)
    return bool(listed) and all(isinstance(item, Mapping) and _is_message(item) for item in listed or ())


def dialogue(value: Any, name: str, where: str) -> tuple[Turn, ...]:
    """Return the turns of a list of messages; an empty system message is dropped. Texts are kept as they are.

    A message is an object with `role` (or `from`, `speaker`) and `content` (or `value`, `text`); an object with `input`
    and `output`, or a list of two texts, is two. A tool call is written into its turn, and what tools return is a turn
    of the user's, in the form of Hermes's and Qwen's chat templates: <tool_call>…</tool_call>, <tool_response>…
    </tool_response>.

    Raises:
        RowError: if the value is no such list.
        RowRejected: if a message is empty, not text, or spoken by somebody else.

    """
    listed = _as_list(value)
    if listed is None:
        raise RowError(where, f"{name} must be a list of messages, got {type(value).__name__}")
    turns: list[Turn] = []
    answered_by_tool = False
    for message in listed:
        for role, text in _spoken(message, name, where):
            if role == "system" and not text.strip():
                continue
            if role == "tool":
                said = f"<tool_response>\n{text.strip()}\n</tool_response>"
                if answered_by_tool:  # results in succession share a turn: user and assistant must alternate
                    turns[-1] = Turn("user", f"{turns[-1].content}\n{said}")
                else:
                    turns.append(Turn("user", said))
            elif not text.strip():
                raise RowRejected("a message is empty")
            else:
                turns.append(Turn(role, text))
            answered_by_tool = role == "tool"
    return tuple(turns)


def same(turns: Sequence[Turn], others: Sequence[Turn]) -> bool:
    """Tell whether two dialogues say the same, apart from white space around their turns."""
    return [(turn.role, turn.content.strip()) for turn in turns] == [
        (turn.role, turn.content.strip()) for turn in others
    ]


def parted(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], str | None]:
    """Return the prompt, and the answer if the last turn is the assistant's.

    Raises:
        RowRejected: unless user and assistant alternate, beginning with the user, after at most one system turn.

    """
    spoken = turns[1:] if turns[:1] and turns[0].role == "system" else turns
    wanted = ["user" if number % 2 == 0 else "assistant" for number in range(len(spoken))]
    if not spoken or [turn.role for turn in spoken] != wanted:
        raise RowRejected(NOT_IN_TURN)
    return (tuple(turns[:-1]), turns[-1].content) if turns[-1].role == "assistant" else (tuple(turns), None)


def with_answer(value: Any, name: str, where: str) -> tuple[tuple[Turn, ...], str | None]:
    """Return the prompt and the answer of a list of messages, as `dialogue` and `parted` do; an answer may be empty.

    Raises:
        RowError, RowRejected: as they do.

    """
    last = value[-1] if isinstance(value, list) and value and isinstance(value[-1], Mapping) else {}
    said = last.get("content") if last.get("role") == "assistant" else None
    if not isinstance(said, str) or said.strip():
        return parted(dialogue(value, name, where))
    prompt, before = parted(dialogue(value[:-1], name, where))  # a model may say nothing, or white space
    if before is not None:
        raise RowRejected(NOT_IN_TURN)
    return prompt, said


def _as_list(value: Any) -> list[Any] | None:
    if isinstance(value, str):
        value = _read_list(value)
    if isinstance(value, Mapping) and _is_message(value) and not any(isinstance(one, list) for one in value.values()):
        return [value]
    if isinstance(value, Mapping):  # {"role": [...], "content": [...]}: a list of objects as Arrow stores it
        lists = {key: item for key, item in value.items() if isinstance(item, list)}
        if not _is_message(lists) or len({len(item) for item in lists.values()}) != 1:
            return None
        return [dict(zip(lists, items, strict=True)) for items in zip(*lists.values(), strict=True)]
    if isinstance(value, list) and value and all(map(_is_pair, value)):
        return [{"input": question, "output": answer} for question, answer in value]
    return value if isinstance(value, list) else None


def _read_list(text: str) -> Any:
    """Return what a cell of a CSV file holds, if that is a list of objects in JSON's form or in Python's."""
    if not _LISTED.match(text):
        return None
    for reader in (json.loads, ast.literal_eval):  # the second reads what str() makes of a list
        try:
            return reader(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _is_message(item: Mapping[str, Any]) -> bool:
    spoken = any(key in item for key in _ROLE_KEYS) and any(key in item for key in _TEXT_KEYS)
    return spoken or all(key in item for _, key in _SPEAKERS)


def _spoken(message: Any, name: str, where: str) -> list[tuple[str, str]]:
    """Return (role, text) of a message; of one with `input` and `output`, two."""
    if not isinstance(message, Mapping) or not _is_message(message):
        got = ", ".join(sorted(message)) or "nothing" if isinstance(message, Mapping) else type(message).__name__
        raise RowError(where, f"{name} must hold objects with role and content, got one with {got}")
    role_key = next((key for key in _ROLE_KEYS if key in message), None)
    if role_key is None:
        return [(role, _content(message[key], where)) for role, key in _SPEAKERS]
    role = message[role_key]
    if not isinstance(role, str):
        raise RowError(where, f"a message's role must be text, got {type(role).__name__}")
    if role.lower() not in ROLES:
        raise RowRejected("a message is neither the system's, the user's, the assistant's nor a tool's")
    text = _content(message[next(key for key in _TEXT_KEYS if key in message)], where)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise RowError(where, f"a message's tool_calls must be a list, got {type(calls).__name__}")
    return [(ROLES[role.lower()], "\n".join([*([text] if text.strip() else []), *map(_call, calls)]))]


def _call(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    return f"<tool_call>\n{json.dumps(function or call, ensure_ascii=False, default=str)}\n</tool_call>"


def _content(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise RowError(where, f"a message's content must be text or a list of parts, got {type(content).__name__}")
    parts = [
        part.get("text") if isinstance(part, Mapping) and part.get("type", "text") == "text" else None
        for part in content
    ]
    if not all(isinstance(part, str) for part in parts):
        raise RowRejected("a message holds something other than text")
    return "".join(map(str, parts))
