"""Two answers to one prompt, which a judge is to compare."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.types import Example


@dataclass(frozen=True)
class Comparison:
    """An answer and what it is measured against."""

    example: Example
    """The prompt, with what the data knows of it (tests, gold facts, references)."""
    answer: str
    """The text under judgment, without special tokens."""
    baseline: str
    """The text that it must beat."""

    def swapped(self) -> Comparison:
        """Return the same two answers with their roles exchanged."""
        return Comparison(self.example, self.baseline, self.answer)
