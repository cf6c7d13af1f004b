"""The last step of every adapter: an example, unless its texts are of no use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.types import Example, Turn


def dialogue_example(
    turns: Sequence[Turn],
    chosen: str | None = None,
    rejected: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Example:
    """Return an example of a dialogue and up to two answers; texts are kept as they are.

    Raises:
        RowRejected: if a turn or an answer is empty (white space counts for nothing), the last turn is not the user's,
            or the answers are equal.

    """
    if not turns or not all(turn.content.strip() for turn in turns):
        raise RowRejected("the prompt is empty")
    if turns[-1].role != "user":
        raise RowRejected("the prompt does not end with the user's turn")
    if chosen is not None and rejected is not None and chosen.strip() == rejected.strip():
        raise RowRejected("chosen equals rejected")
    if any(answer is not None and not answer.strip() for answer in (chosen, rejected)):
        raise RowRejected("an answer is empty")
    return Example(prompt_key(dialogue_prompt(turns)), tuple(turns), chosen, rejected, metadata or {})
