"""The mean curve of a cell over its seeds, and where it first reaches a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Axis, Floats, Points, Results


@dataclass(frozen=True)
class SeedCurves:
    """The curves of several seeds at the same places."""

    seeds: tuple[int, ...]
    x: Floats
    """[points], rising"""
    y: Floats
    """[seeds, points], on straight lines between what was measured."""

    @property
    def mean(self) -> Floats:
        """[points]: over seeds."""
        return np.asarray(self.y.mean(axis=0), dtype=np.float64)


def seed_curves(results: Results, cell: str, key: str, x: Axis, seeds: Sequence[int] | None = None) -> SeedCurves:
    """Return a metric of a cell's finished runs, wherever all of its seeds have come.

    Args:
        results: of the experiment.
        cell: its name.
        key: the metric.
        x: what it is drawn over.
        seeds: only these; None for all. Those without a finite value are left out.

    """
    found = dict[int, Points]()
    for run in results.finished(cell):
        if seeds is None or run.seed in seeds:
            points = results.series(cell, run.seed, key, x)
            known = np.isfinite(points.y)
            if known.any():
                found[run.seed] = Points(points.x[known], points.y[known])
    if not found:
        return SeedCurves((), np.empty(0), np.empty((0, 0)))
    first, last = max(one.x[0] for one in found.values()), min(one.x[-1] for one in found.values())
    places = np.unique(np.concatenate([one.x for one in found.values()]))
    places = places[(places >= first) & (places <= last)]
    return SeedCurves(tuple(found), places, np.stack([np.interp(places, one.x, one.y) for one in found.values()]))


def first_reach(x: Floats, y: Floats, level: float) -> float:
    """Return where a line of straight pieces first is at a level or above it; inf if nowhere.

    Args:
        x: [points], rising.
        y: [points]
        level: in the unit of y.

    """
    above = np.flatnonzero(y >= level)
    if not len(above):
        return float("inf")
    after = int(above[0])
    if after == 0:
        return float(x[0])
    left, right = float(y[after - 1]), float(y[after])
    return float(x[after - 1] + (x[after] - x[after - 1]) * (level - left) / (right - left))
