"""Prompts and answers that are texts, transcripts or messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qstar_pl.data.adapters.columns import as_text
from qstar_pl.data.adapters.dialogue import dialogue, is_dialogue, parted, same
from qstar_pl.data.adapters.transcript import is_transcript, transcript
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Turn

PROMPTS_DIFFER = "the prompts of chosen and rejected differ"


def prompt_turns(value: Any, name: str, where: str) -> tuple[Turn, ...]:
    """Return the turns of a prompt.

    Raises:
        RowError: if it is neither text nor messages.
        RowRejected: if its turns do not alternate, or the last one is an answer.

    """
    if _is_listed(value):
        turns, answer = parted(dialogue(value, name, where))
    else:
        turns, answer = transcript(as_text(value, name, where))
    if answer is not None:
        raise RowRejected("the prompt ends with an answer")
    return turns


def answered(prompt: Sequence[Turn], value: Any, name: str, where: str) -> tuple[tuple[Turn, ...], str | None]:
    """Return the prompt that an answer belongs to, and the answer's text; None for null.

    An answer is a text, one message, several (all but the last then belong to the prompt), or a whole dialogue or
    transcript, which holds its prompt.

    Raises:
        RowError: if it is neither text nor messages.
        RowRejected: if its turns do not alternate, or it holds another prompt.

    """
    prompt = tuple(prompt)
    if value is None or value == []:
        return prompt, None
    if _is_listed(value):
        turns = dialogue(value, name, where)
    elif is_transcript(as_text(value, name, where)):
        asked, answer = transcript(str(value))
        turns = (*asked, Turn("assistant", answer)) if answer is not None else asked
    else:
        return prompt, as_text(value, name, where)
    if turns[:1] and turns[0].role == "assistant":  # no prompt of its own
        turns = (*prompt, *turns)
    elif not _holds(turns, prompt):
        raise RowRejected("the answer's dialogue has another prompt")
    asked, answer = parted(turns)
    if answer is None:
        raise RowRejected("there is no answer: the last message is not the assistant's")
    return asked, answer


def _is_listed(value: Any) -> bool:
    """Tell whether a value is meant as messages, well-formed or not."""
    return is_dialogue(value) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _holds(turns: Sequence[Turn], prompt: Sequence[Turn]) -> bool:
    """Tell whether a dialogue has the prompt in it; a prompt of one text may be any of the user's turns."""
    if not prompt or same(turns[: len(prompt)], prompt):
        return True
    return len(prompt) == 1 and any(same([turn], prompt) for turn in turns)
