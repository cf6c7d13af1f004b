"""Rows of answers.parquet and distributions.parquet, from what the runs keep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from qstar_pl.experiments.curve import STEP
from qstar_pl.experiments.results.outcome import Outcome
from qstar_pl.run_folders.kept import ANSWERS, DISTRIBUTIONS, whole_lines

OF_ANSWER = ("step", "prompt", "key", "part", "prompt_text", "completion", "tokens", "reward_gold", "reward_proxy")
LATER = ("key", "part")
"""Columns that runs of earlier versions do not keep."""


def answers_of(one: Outcome) -> Iterator[tuple[Any, ...]]:
    """Yield (cell, seed, *OF_ANSWER) of a run's answers."""
    for row in _lines(one, ANSWERS):
        known = dict.fromkeys(LATER) | row
        yield one.run.cell.name, one.run.seed, *(known[name] for name in OF_ANSWER)


def distributions_of(one: Outcome) -> Iterator[tuple[Any, ...]]:
    """Yield (cell, seed, step, quantity, low, high, count) of every bin of every window of a run."""
    header, *windows = _lines(one, DISTRIBUTIONS) or [{"edges": {}}]
    for window in windows:
        for name, inner in header["edges"].items():
            counts = window[name]
            edges = inner if len(counts) < len(inner) else [-math.inf, *inner, math.inf]
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
                yield one.run.cell.name, one.run.seed, window[STEP], name, low, high, count


def _lines(one: Outcome, name: str) -> list[dict[str, Any]]:
    """Return what the run of an outcome keeps in a file; nothing of a run whose metrics do not count either."""
    version = one.run.folder.version()
    return whole_lines(version / name) if version is not None and one.metrics.rows else []
