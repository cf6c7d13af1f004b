"""Which runs are listed, and in what order."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from qstar_pl.errors import UserError
from qstar_pl.run_folders.find import matches
from qstar_pl.run_folders.record import Record, State

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(rf"(?P<count>\d+(?:\.\d+)?) ?(?P<unit>{'|'.join(_UNITS)})")
_ORDERS: dict[str, Callable[[Record], float | str]] = {
    "active": lambda run: -run.active,
    "started": lambda run: -run.started,
    "step": lambda run: -(run.step or 0),
    "name": lambda run: run.name,
    "method": lambda run: (run.settings.method or "").lower(),
    "state": lambda run: run.state,
}
"""Newest and longest first, words by the alphabet."""


@dataclass(frozen=True)
class Choice:
    """What a listed run must be; empty: anything."""

    methods: tuple[str, ...] = ()
    """Short names of classes, in any case."""
    states: tuple[State, ...] = ()
    names: tuple[str, ...] = ()
    """Wildcards for names or a part of them: "tiny_*" takes tiny_dpo/version_0."""
    since: float = -math.inf
    """When it must have written something last, in seconds since 1970."""

    def takes(self, run: Record) -> bool:
        """Return whether a run is wanted."""
        method = (run.settings.method or "").lower()
        return (
            (not self.methods or method in {one.lower() for one in self.methods})
            and (not self.states or run.state in self.states)
            and (not self.names or any(matches(run.folder, run.root, one) for one in self.names))
            and run.active >= self.since
        )


def ordered(runs: Iterable[Record], key: str, *, reverse: bool = False) -> list[Record]:
    """Return runs in order of a column or of a metric, highest first; runs without that metric come last.

    Raises:
        UserError: if it is neither a column nor a metric of any of the runs.

    """
    runs = sorted(runs, key=lambda run: run.name)
    if key in _ORDERS:
        return sorted(runs, key=_ORDERS[key], reverse=reverse)
    with_it = [run for run in runs if math.isfinite(run.metrics.get(key, math.nan))]
    if runs and not with_it:
        raise UserError(f"sort must be {', '.join(_ORDERS)}, or a metric that a listed run has last logged, got {key}")
    without = [run for run in runs if not math.isfinite(run.metrics.get(key, math.nan))]
    return [*sorted(with_it, key=lambda run: run.metrics[key], reverse=not reverse), *without]


def time_since(text: str, now: float | None = None) -> float:
    """Return the moment that "90min", "3h", "2d", "1w" or a date (2026-11-26, or with a time) means, in s since 1970.

    Raises:
        UserError: if it means none.

    """
    if match := _SPAN.fullmatch(text.strip()):
        return (time.time() if now is None else now) - float(match["count"]) * _UNITS[match["unit"]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UserError(
            f"since must be a span such as 90min, 3h or 2d, or a date such as 2026-11-26, got {text}"
        ) from error


def columns_of(runs: Sequence[Record], wanted: Sequence[str], usual: Sequence[str], count: int) -> list[str]:
    """Return the metrics to show: those that were asked for, else the first usual ones that any of the runs has."""
    return list(wanted) or [key for key in usual if any(key in run.metrics for run in runs)][:count]
