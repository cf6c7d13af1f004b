"""Dialogues that are written as one text, with a marker before each turn."""

from __future__ import annotations

import re
from typing import Any

from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Turn

_FORMS = (
    re.compile(r"(?:^|\n\n)[ \t]*(Human|Assistant):"),  # HH-RLHF and its descendants
    re.compile(r"###[ \t]*(Human|Assistant):"),  # Guanaco
    re.compile(r"\n?<extra_id_1>(User|Assistant)\n"),  # HelpSteer
)
_ROLES = {"Human": "user", "User": "user", "Assistant": "assistant"}
_NOT_IN_TURN = "the turns do not alternate between Human and Assistant, or one is empty"


def is_transcript(text: str) -> bool:
    """Tell whether a text begins with the marker of a human turn and holds one of the assistant."""
    return _form(text) is not None


def is_answered(text: Any) -> bool:
    """Tell whether a value is a transcript that ends with an answer."""
    try:
        return isinstance(text, str) and is_transcript(text) and transcript(text)[1] is not None
    except RowRejected:
        return False


def transcript(text: str) -> tuple[tuple[Turn, ...], str | None]:
    """Return the turns up to the last human one, and the answer behind it; None if the text is open for an answer.

    A text without markers is one turn of the user's, as it stands. White space around marked turns is dropped.

    Raises:
        RowRejected: if the turns do not alternate, beginning with the human's, or one but the answer is empty.

    """
    form = _form(text)
    if form is None:
        return (Turn("user", text),), None
    # re.split with one group gives [text before the first marker, role, content, role, content, …].
    _, *parts = form.split(text)
    turns = [Turn(_ROLES[role], content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)]
    answer = turns.pop().content if turns[-1].role == "assistant" else ""
    wanted = ["user" if number % 2 == 0 else "assistant" for number in range(len(turns))]
    in_turn = [turn.role for turn in turns] == wanted and len(turns) % 2 == 1
    if not in_turn or not all(turn.content for turn in turns):
        raise RowRejected(_NOT_IN_TURN)
    return tuple(turns), answer or None


def _form(text: str) -> re.Pattern[str] | None:
    stripped = text.strip()
    for form in _FORMS:
        first = form.match(stripped)  # at the beginning: a quoted transcript inside a text is none
        if first is not None and first[1] != "Assistant" and any(m[1] == "Assistant" for m in form.finditer(stripped)):
            return form
    return None
