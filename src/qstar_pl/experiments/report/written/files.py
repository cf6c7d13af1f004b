"""Writes all tables of a report: what every start of an experiment gives alike, and apart from it the times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qstar_pl.experiments.report.headline import headline
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.comparison import comparisons
from qstar_pl.experiments.report.tables.main import comparison_table, main_table, spent_table, times_table
from qstar_pl.experiments.report.tables.map import map_table
from qstar_pl.experiments.report.tables.parts import part_table
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.verdicts.every import judged, verdict_table
from qstar_pl.experiments.report.written.latex import as_latex
from qstar_pl.experiments.report.written.markdown import as_markdown
from qstar_pl.files import write_text

STEM, TIMES_STEM = "tables", "times"


@dataclass(frozen=True)
class Section:
    """An experiment's first paragraph and tables."""

    title: str
    question: str
    paragraph: str
    tables: tuple[Table, ...]
    """The same, byte for byte, however often runs were killed and started again."""
    times: tuple[Table, ...]
    """Of what differs between two runs of the same."""


def section(results: Results) -> Section:
    """Return what a report says of one experiment."""
    found = comparisons(results)
    differences = (comparison_table(results, found), part_table(results))
    tables = (main_table(results), map_table(results), *differences, spent_table(results))
    words = " ".join(headline(results, found))
    title = f"{results.title} ({results.name}, {results.variant})"
    return Section(title, results.question, words, tuple(one for one in tables if one.rows), (times_table(results),))


def verdict_tables(several: Sequence[Results]) -> tuple[tuple[Table, ...], tuple[Table, ...]]:
    """Return the verdicts over all experiments, and apart from them those that rest on seconds.

    See `judged`.
    """
    tables, times = [], []
    for title, found in judged(several):
        tables.append(verdict_table(title, [one for one in found if not one.is_time]))
        timed = [one for one in found if one.is_time]
        times += [verdict_table(f"{title}: time", timed)] if timed else []
    return tuple(tables), tuple(times)


def write_tables(several: Sequence[Results], folder: Path) -> list[Path]:
    """Write tables.md and tables.tex, the same from the same numbers, and times.md and times.tex; return the files.

    Args:
        several: the experiments.
        folder: into which they are written.

    """
    sections = [section(results) for results in several]
    verdicts, timed = verdict_tables(several)
    tables = [table for one in sections for table in one.tables] + list(verdicts)
    times = [table for one in sections for table in one.times] + list(timed)
    texts = {
        f"{STEM}.md": "\n".join([*map(_markdown, sections), *map(as_markdown, verdicts)]),
        f"{STEM}.tex": "\n".join(map(as_latex, tables)),
        f"{TIMES_STEM}.md": "\n".join(map(as_markdown, times)),
        f"{TIMES_STEM}.tex": "\n".join(map(as_latex, times)),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _markdown(one: Section) -> str:
    question = f"*{one.question}*\n\n" if one.question else ""
    tables = "\n".join(map(as_markdown, one.tables))
    return f"## {one.title}\n\n{question}{one.paragraph.replace('*', chr(92) + '*')}\n\n{tables}"
