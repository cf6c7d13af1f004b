"""Tables as markdown."""

from __future__ import annotations

from qstar_pl.experiments.report.tables.table import Table


def as_markdown(table: Table) -> str:
    """Return a table with its title above and its notes below."""
    rules = ("---" if place < table.words else "---:" for place in range(len(table.heads)))
    lines = [table.heads, tuple(rules), *table.rows]
    rows = "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"### {table.title}\n\n{rows}" + (f"\n{notes}" if notes else "")


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
