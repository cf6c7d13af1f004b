"""Runs as lines of text that fit a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from qstar_pl.run_folders.record import Record

GAP = "  "
LONGEST_NAME = 36
"""Most columns for the names of runs; a longer one has a line to itself."""
_SPANS = (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400), ("d", 86400, math.inf))


def runs_table(runs: Sequence[Record], metrics: Sequence[str], width: int, now: float | None = None) -> str:
    """Return a line per run if that fits, else two: the metrics go below.

    Args:
        runs: in order.
        metrics: whose last values are shown.
        width: of the terminal, in characters.
        now: in seconds since 1970; None: the clock's.

    """
    now = time.time() if now is None else now
    head = ["run", "state", "step", "active", "method", "data"]
    cells = [[run.name, run.state, steps(run), f"{span(now - run.active)} ago", *_what(run)] for run in runs]
    values = [[number(run.metrics.get(key)) for key in metrics] for run in runs]
    wide = _aligned([head + list(metrics), *(a + b for a, b in zip(cells, values, strict=True))], numbers=len(metrics))
    if max(map(len, wide), default=0) <= width:
        return "\n".join(wide)
    name_width = min(LONGEST_NAME, max(len(row[0]) for row in (head, *cells)))
    rest = _aligned([row[1:] for row in (head, *cells)])
    lines = list[str]()
    for row, tail, numbers in zip((head, *cells), rest, [[], *values], strict=True):
        if len(row[0]) > name_width:
            lines.append(row[0])
        name = row[0] if len(row[0]) <= name_width else ""
        lines.append(f"{name:<{name_width}}{GAP}{tail}".rstrip())
        lines += filled(
            [f"{key} {value}" for key, value in zip(metrics, numbers, strict=False) if value != ABSENT], width, indent=4
        )
    return "\n".join(lines)


ABSENT = "–"
"""Stands for what there is not."""


def number(value: float | None) -> str:
    """Return a metric's value with three significant digits."""
    return ABSENT if value is None else f"{value:.3g}"


def steps(run: Record) -> str:
    """Return "40/100", without what is not known; a batch of several steps may end beyond max_steps: "4/4"."""
    longest = run.settings.max_steps
    if run.step is None and longest is None:
        return ABSENT
    taken = run.step or 0
    return f"{taken}" if longest is None or run.state == "measured" else f"{taken}/{max(taken, longest)}"


def span(seconds: float) -> str:
    """Return a time in the largest unit that it fills: "40 s", "3 min", "5 h", "2 d"."""
    for unit, size, limit in _SPANS:
        if seconds < limit:
            return f"{max(seconds, 0) / size:.0f} {unit}"
    return ABSENT


def filled(parts: Sequence[str], width: int, indent: int) -> list[str]:
    """Return parts on as many indented lines as they need; none is broken."""
    lines = list[str]()
    for part in parts:
        if lines and len(lines[-1]) + len(GAP) + len(part) <= width:
            lines[-1] += GAP + part
        else:
            lines.append(" " * indent + part)
    return lines


def _what(run: Record) -> tuple[str, str]:
    return run.settings.method or "?", run.settings.data or "?"


def _aligned(rows: Sequence[Sequence[str]], numbers: int = 0) -> list[str]:
    """Return rows in columns, the last ones (`numbers` of them) to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) - numbers
    return [
        GAP.join(
            f"{cell:>{width}}" if index >= first else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
