"""Examples whose prompt is one message of the user's, as in most datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstar_pl.data.keys import prompt_key
from qstar_pl.data.rendering import dialogue_prompt
from qstar_pl.data.rows import RowRejected
from qstar_pl.types import Example, Turn


def single_turn(
    prompt: str,
    chosen: str | None = None,
    rejected: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Example:
    """Return an example with the user's turn `prompt` and up to two answers; texts are kept as they are.

    Raises:
        RowRejected: if the prompt or an answer is empty (white space counts for nothing), or the answers are equal.

    """
    if not prompt.strip():
        raise RowRejected("the prompt is empty")
    if chosen is not None and chosen == rejected:
        raise RowRejected("chosen equals rejected")
    if any(answer is not None and not answer.strip() for answer in (chosen, rejected)):
        raise RowRejected("an answer is empty")
    turns = (Turn("user", prompt),)
    return Example(prompt_key(dialogue_prompt(turns)), turns, chosen, rejected, metadata or {})
