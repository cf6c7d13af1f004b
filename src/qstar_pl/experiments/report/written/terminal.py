"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qstar_pl.experiments.report.tables.table import Table

if TYPE_CHECKING:
    from qstar_pl.console import SpellingConsole

GAP = 2
"""Columns of the terminal between two columns of a table."""


def print_tables(tables: Sequence[Table], console: SpellingConsole, notes: int = 0) -> None:
    """Print tables below each other; one that is too wide in parts, each of which begins with its words.

    Args:
        tables: those without rows are left out.
        console: where.
        notes: how many of each table's notes are printed too.

    """
    for table in tables:
        if not table.rows:
            continue
        console.print(f"\n{table.title}", highlight=False, markup=False)
        for part in parts(table, console.width):
            console.print(_drawn(part))
        for note in table.notes[:notes]:
            console.print(note, highlight=False, markup=False)


def parts(table: Table, width: int) -> Iterator[Table]:
    """Yield a table's columns in as many parts as fit a width, the first columns, of words, in each."""
    lines = [table.heads, *table.rows]
    needs = [max(len(line[place]) for line in lines) + GAP for place in range(len(table.heads))]
    words, taken = list(range(table.words)), list[int]()
    for place in range(table.words, len(needs)):
        if taken and sum(needs[one] for one in (*words, *taken, place)) - GAP > width:
            yield _of(table, [*words, *taken])
            taken = []
        taken.append(place)
    yield _of(table, [*words, *taken])


def _of(table: Table, places: Sequence[int]) -> Table:
    rows = tuple(tuple(row[place] for place in places) for row in table.rows)
    return Table(table.title, tuple(table.heads[place] for place in places), rows, table.words)


def _drawn(table: Table) -> object:
    from rich.table import Table as Drawn

    drawn = Drawn(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place, head in enumerate(table.heads):
        drawn.add_column(head, justify="left" if place < table.words else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*row)
    return drawn
