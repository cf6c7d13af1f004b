"""Examples whose prompt is one message of the user's, as in most datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstar_pl.data.adapters.examples import dialogue_example
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
    return dialogue_example((Turn("user", prompt),), chosen, rejected, metadata)
