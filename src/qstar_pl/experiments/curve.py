"""A metric of one run against steps, or against a budget that is logged with it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from statistics import fmean, stdev

from qstar_pl.run_folders.metrics import Metrics

Points = list[tuple[float, float]]
STEP = "step"
_MEASURED = re.compile(r"(?:val|test)/")
_TOTAL = re.compile(r"/total$|^time/wall_s$")
"""What counts up from nothing at step 0."""


def is_measured(key: str) -> bool:
    """Return whether a metric is one of validation or test: some points, each a mean over the whole split."""
    return _MEASURED.match(key) is not None


def curve(metrics: Metrics, key: str, x: str = STEP) -> Points:
    """Return the points (x, value of a metric) of the rows that have both, by rising x; NaN stays.

    Rows of validation have the budgets of their step. Other rows of their own, and those of runs which did not log
    them yet, stand at what x was at the last step before.
    """
    spent = sorted((row[STEP], row[x]) for row in metrics.rows if x in row and STEP in row)
    steps = [step for step, _ in spent]
    points: Points = []
    for row in metrics.rows:
        place = row.get(x)
        if place is None and STEP in row:
            before = bisect_right(steps, row[STEP])
            unspent = 0.0 if spent and _TOTAL.search(x) and row[STEP] == 0 else None
            place = spent[before - 1][1] if before else unspent
        if key in row and place is not None:
            points.append((place, row[key]))
    return sorted(points, key=lambda point: point[0])


def smoothed(points: Points, count: int) -> Points:
    """Return the mean of each value and those before it, `count` together; fewer at the beginning."""
    last: deque[float] = deque(maxlen=count)
    means: Points = []
    for place, value in points:
        last.append(value)
        means.append((place, fmean(last)))
    return means


def band(curves: Sequence[Points]) -> list[tuple[float, float, float]]:
    """Return (x, mean, standard deviation with n − 1) over runs wherever all of them have come.

    Between its points a run is taken as a straight line, since runs need not log at the same x. One run has a
    deviation of 0.
    """
    curves = [points for points in curves if points]
    if not curves:
        return []
    first, last = max(points[0][0] for points in curves), min(points[-1][0] for points in curves)
    grid = sorted({place for points in curves for place, _ in points if first <= place <= last})
    rows = [(place, [_at(points, place) for points in curves]) for place in grid]
    return [(place, fmean(values), stdev(values) if len(values) > 1 else 0.0) for place, values in rows]


def _at(points: Points, place: float) -> float:
    """Return a curve's value at a place within its ends."""
    after = bisect_right(points, place, key=lambda point: point[0])
    left, low = points[after - 1]
    if after == len(points) or left == place:
        return low
    right, high = points[after]
    return low + (high - low) * (place - left) / (right - left)
