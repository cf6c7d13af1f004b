"""A table as it is shown anywhere: page, terminal, markdown, LaTeX."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Texts in rows, with what they mean."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    """The first columns hold words and are set flush left, the others numbers."""
    notes: tuple[str, ...] = ()
    """Sentences below it: how a column is computed, what is missing."""
