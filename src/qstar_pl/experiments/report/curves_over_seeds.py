"""The mean curve of a cell over its seeds, and where it first reaches a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Axis, Floats, Points, Results


@dataclass(frozen=True)
class SeedCurves:
    """The curves of several seeds, point by point of the same step."""

    seeds: tuple[int, ...]
    x: Floats
    """[points], rising: what the seeds had spent by then on average."""
    y: Floats
    """[seeds, points]"""

    @property
    def mean(self) -> Floats:
        """[points]: over seeds."""
        return np.asarray(self.y.mean(axis=0), dtype=np.float64)


def seed_curves(results: Results, cell: str, key: str, x: Axis, seeds: Sequence[int] | None = None) -> SeedCurves:
    """Return a metric of a cell's finished runs at the steps that all of them have measured it, and at their ends.

    What the seeds have spent by a step is averaged as well: by a clock, or in tokens, no two runs are alike.

    Args:
        results: of the experiment.
        cell: its name.
        key: the metric.
        x: what it is drawn over.
        seeds: only these; None for all. Those without a finite value are left out.

    """
    found = dict[int, Points]()
    steps = list[Floats]()
    for run in results.finished(cell):
        if seeds is None or run.seed in seeds:
            points, at = results.series(cell, run.seed, key, x), results.series(cell, run.seed, key, "step")
            known = np.isfinite(points.y)
            if known.any() and len(points) == len(at):
                found[run.seed] = Points(points.x[known], points.y[known])
                steps.append(at.x[known])
    if not found:
        return SeedCurves((), np.empty(0), np.empty((0, 0)))
    # The ends belong together, also where runs end at different steps, as at a budget of tokens.
    before = min(one[-1] for one in steps)
    common = [step for step in steps[0] if step < before and all(step in other for other in steps)]
    rows = [np.append(np.flatnonzero(np.isin(one, common)), len(one) - 1) for one in steps]
    places = np.stack([one.x[row] for one, row in zip(found.values(), rows, strict=True)])
    values = np.stack([one.y[row] for one, row in zip(found.values(), rows, strict=True)])
    return SeedCurves(tuple(found), places.mean(axis=0), values)


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
