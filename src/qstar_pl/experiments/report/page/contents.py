"""What stands on the page, as text: nothing is computed from here on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table, its numbers already written out."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """How it was computed."""
    words: int = 1
    """So many columns hold words, which stand on the left; the first of them heads its row."""


@dataclass(frozen=True)
class Claim:
    """A hypothesis or a criterion, and what became of it."""

    name: str
    claim: str
    verdict: str
    """"supported", "not supported", "undecided" or "not measured"."""
    number: str
    how: str

    @property
    def look(self) -> str:
        """The verdict as a class of the style sheet."""
        return self.verdict.replace(" ", "-")


@dataclass(frozen=True)
class Drawing:
    """A figure."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    """Inline, as `inline` makes it."""


@dataclass(frozen=True)
class Answer:
    """What one cell answered."""

    cell: str
    reward: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """One held-out prompt with the answers of all cells."""

    text: str
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Group:
    """Figures that belong together, and why those are missing that are."""

    title: str
    figures: Sequence[Drawing]
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class Times:
    """All that differs between two runs of the same."""

    claims: Sequence[Claim] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Drawing] = ()
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class Chapter:
    """One experiment."""

    key: str
    """Begins the anchors of its sections."""
    title: str
    question: str
    first: Sequence[str]
    """The paragraphs that answer the question."""
    facts: Sequence[tuple[str, str]]
    problems: Sequence[str]
    """Runs that failed, are unfinished, or ended elsewhere."""
    verdicts: Sequence[tuple[str, Sequence[Claim]]]
    """(heading, claims)"""
    tables: Sequence[Table]
    groups: Sequence[Group]
    prompts: Sequence[Prompt]
    answers_note: str
    """How the prompts were chosen, or why there are none."""
    reward: str
    """What the answers were given points by."""
    times: Times
    command: str
    """Runs the whole experiment; "" where no single one does."""
    commands: Sequence[tuple[str, str]]
    """(run, the command that repeats it)."""

    @property
    def sections(self) -> Sequence[tuple[str, str]]:
        """(end of the anchor, heading) for the table of contents."""
        found = [("answer", "Answer")]
        found += [("verdicts", "Verdicts")] if self.verdicts else []
        found += [("tables", "Tables")] if self.tables else []
        return [
            *found,
            ("figures", "Figures"),
            ("answers", "Answers side by side"),
            ("time", "Time"),
            ("commands", "How to repeat it"),
        ]


@dataclass(frozen=True)
class Page:
    """The whole."""

    title: str
    chapters: Sequence[Chapter]
