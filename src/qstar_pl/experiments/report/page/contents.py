"""What stands on the page, as text: nothing is computed from here on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.verdicts.verdict import Verdict

Link = tuple[str, str]
"""(title, file) of a figure that stands beside the page alone."""
Verdicts = Sequence[tuple[str, Sequence[Verdict]]]
"""(heading, verdicts)"""


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
    beside: Sequence[Link] = ()


@dataclass(frozen=True)
class Times:
    """All that differs between two runs of the same."""

    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Drawing] = ()
    left_out: Sequence[str] = ()
    beside: Sequence[Link] = ()


@dataclass(frozen=True)
class Chapter:
    """One experiment."""

    key: str
    """Begins the anchors of its sections."""
    title: str
    question: str
    first: str
    """The paragraph that answers the question."""
    facts: Sequence[tuple[str, str]]
    problems: Sequence[str]
    """Runs that failed, are unfinished, or ended elsewhere."""
    description: str
    verdicts: Verdicts
    """On its own numbers; none where the page judges several experiments together."""
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
    verdicts: Verdicts = ()
    """On all experiments together."""
    timed: Sequence[Verdict] = ()
    """Those of them that rest on seconds."""
