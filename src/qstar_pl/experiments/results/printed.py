"""What a terminal shows of an experiment: every cell against the baseline, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qstar_pl.experiments.report.headline import headline
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.comparison import Comparison, comparisons
from qstar_pl.experiments.report.tables.main import p_text
from qstar_pl.experiments.report.tables.measures.measure import NOTHING, summary
from qstar_pl.experiments.report.tables.measures.score import ScoreAfter
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.verdicts.every import judged
from qstar_pl.experiments.report.verdicts.verdict import Verdict
from qstar_pl.experiments.report.written.terminal import print_tables

if TYPE_CHECKING:
    from qstar_pl.console import SpellingConsole


def print_results(results: Results, console: SpellingConsole) -> None:
    """Print a line per cell, what is to be said of q*, and the verdicts."""
    found = comparisons(results)
    console.print("\n".join(("", *headline(results, found))), highlight=False, markup=False)
    print_tables([scores(results, found)], console)
    for title, verdicts in judged([results]):
        console.print("\n".join(("", title, *verdict_lines(verdicts))), highlight=False, markup=False, soft_wrap=True)


def scores(results: Results, found: Sequence[Comparison]) -> Table:
    """Return every cell with its score and how far that is from its baseline's."""
    rows = []
    for cell in results.cells:
        after = summary(ScoreAfter().per_seed(results, cell, ""))
        mine = next((one for one in found if one.cell == cell), None)
        numbers = ("", "", "", "") if mine is None else _difference(mine)
        rows.append((cell, numbers[0], NOTHING if after is None else after.text(), *numbers[1:]))
    heads = ("cell", "minus", "at the end", "difference", "95%", "p (Holm)")
    return Table(f"{results.score}, mean ± s.d.; differences seed by seed", heads, tuple(rows), 2)


def _difference(one: Comparison) -> tuple[str, str, str, str]:
    interval = NOTHING if one.interval is None else f"{one.interval.low:+.3f} to {one.interval.high:+.3f}"
    return one.than, f"{one.mean:+.3f}", interval, p_text(one.holm)


def verdict_lines(found: Sequence[Verdict]) -> list[str]:
    """Return two lines per verdict: what was claimed and what became of it; the numbers."""
    wide = max((len(one.name) for one in found), default=0)
    return [
        f"  {one.name.ljust(wide)}  {one.said}: {one.claim}"
        + (f" [{one.group}]" if one.group else "")
        + f"\n  {' ' * wide}  {one.number if one.evidence else one.missing}"
        for one in found
    ]
