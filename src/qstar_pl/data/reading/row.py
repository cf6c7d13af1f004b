"""What a file gives for each of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Unreadable:
    """Stands where a row would, and says why it cannot be read; later rows are not affected."""

    reason: str
    """The same for all rows with the same fault."""


Located = Iterator[tuple[str, Row | Unreadable]]
"""(where, row), where "file:line" or the like."""
