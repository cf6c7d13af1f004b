"""Metrics of several runs in one figure, a panel each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import STEP, Points, band, curve, is_measured, smoothed
from qstar_pl.figures import (
    LineStyle,
    drawn,
    finite_points,
    legend_below,
    line_style,
    note,
    plain,
    ratio_axis,
    title,
    with_unit,
)
from qstar_pl.run_folders.metrics import NOT_METRICS, Metrics

PANEL = 2.6
"""Inches of height of a panel."""
_RATIO = re.compile(r"(?:^|[/_])ratio(?:$|[/_])")
"""Metrics of which r and 1/r are equally far from 1."""
MOST_NAMED = 10
"""Most metrics that a refusal names beside the nearest."""


@dataclass(frozen=True)
class _Scale:
    """Where means are taken."""

    forward: Callable[[float], float]
    back: Callable[[float], float]
    note: str = ""

    def points(self, points: Points) -> Points:
        return [(x, self.forward(y)) for x, y in points]


_PLAIN = _Scale(float, float)
_RATIOS = _Scale(math.log, math.exp, "means of logarithms")


@dataclass(frozen=True)
class LoggedRun:
    """A run whose metrics are drawn."""

    label: str
    group: str
    """Shared by the runs that differ in their seeds alone."""
    seed: int | None
    metrics: Metrics


@dataclass(frozen=True)
class Look:
    """How the runs are drawn."""

    x: str = STEP
    """A metric, or "step"."""
    smooth: int = 1
    """Mean over so many logged values; those of validation are drawn as they are."""
    band: bool = False
    """Whether runs of a group are drawn as their mean ± one standard deviation."""


def missing(runs: Sequence[LoggedRun], keys: Sequence[str], x: str = STEP) -> list[tuple[LoggedRun, str]]:
    """Return the pairs (run, metric) without a point to draw; not every run must have all, since methods differ.

    Raises:
        UserError: if no run has a metric; names the nearest, and those that there are.

    """
    lacking = [(run, key) for key in keys for run in runs if not curve(run.metrics, key, x)]
    for key in keys:
        if all((run, key) in lacking for run in runs):
            known = sorted({column for run in runs for column in run.metrics.last()})
            if x not in (STEP, *known):
                raise UserError(f"x must be step or {_known(x, known)}")
            if key in known:
                raise UserError(f"x must be logged in the same rows or at the same steps as {key}, got {x}")
            raise UserError(f"key must be {_known(key, known)}")
    return lacking


def save_curves(runs: Sequence[LoggedRun], keys: Sequence[str], output: Path, look: Look = Look()) -> None:
    """Draw a panel per metric with a line per run, or per group of runs; runs with none of the metrics do not count.

    Raises:
        UserError: if no run has one of the metrics.

    """
    lacking = missing(runs, keys, look.x)
    runs = [run for run in runs if any((run, key) not in lacking for key in keys)]
    with drawn(output, PANEL * len(keys) + 1.2) as figure:
        axes = figure.subplots(len(keys), 1, sharex=True, squeeze=False)
        for axis, key in zip(axes.flat, keys, strict=True):
            _panel(axis, runs, key, look)
        axes[-1, 0].set_xlabel(plain(with_unit(look.x)))
        if look.x == STEP:
            axes[-1, 0].xaxis.get_major_locator().set_params(integer=True)
        title(figure, _heading(runs, look))
        legend_below(figure)


def _panel(axis: Any, runs: Sequence[LoggedRun], key: str, look: Look) -> None:
    said = list[str]()
    members: dict[str, list[LoggedRun]] = {}
    for run in runs:
        members.setdefault(run.group if look.band else run.label, []).append(run)
    drawn_points: dict[str, Points] = {}
    for run in runs:
        drawn_points[run.label], lost = finite_points(curve(run.metrics, key, look.x))
        said += [f"{run.label}: {lost}"] if lost else []
    lowest = min((value for points in drawn_points.values() for _, value in points), default=0.0)
    scale = _RATIOS if _RATIO.search(key) and lowest > 0 else _PLAIN
    smooth = 1 if is_measured(key) else look.smooth
    for number, (name, group) in enumerate(members.items()):
        points = [drawn_points[run.label] for run in group if drawn_points[run.label]]
        if points:
            label = _counted(name, group) if look.band and len(group) > 1 else name
            _line(axis, line_style(number), plain(label), points, scale, smooth, every_point=is_measured(key))
    pale = "" if look.band else "; pale: as logged"
    smoothing = f"mean of each value and the {smooth - 1} logged before it{pale}" if smooth > 1 else ""
    note(axis, smoothing, scale.note if smooth > 1 or look.band else "", *said)
    axis.set_ylabel(plain(with_unit(key)))
    if scale is _RATIOS:
        ratio_axis(axis.yaxis)


def _line(
    axis: Any, style: LineStyle, label: str, curves: Sequence[Points], scale: _Scale, smooth: int, *, every_point: bool
) -> None:
    """Draw one curve, or the mean and the band of several."""
    if smooth > 1 and len(curves) == 1:
        axis.plot(*zip(*curves[0], strict=True), color=style.color, alpha=0.25, linewidth=0.8)
    values = band([smoothed(scale.points(points), smooth) for points in curves])
    if not values:  # runs that have no x in common
        return
    places = [place for place, _, _ in values]
    look = style.line(len(places), each=every_point)
    axis.plot(places, [scale.back(mean) for _, mean, _ in values], label=label, **look)
    if len(curves) > 1:
        low, high = ([scale.back(mean + sign * spread) for _, mean, spread in values] for sign in (-1, 1))
        axis.fill_between(places, low, high, color=style.color, alpha=0.18, linewidth=0)
        if every_point:
            axis.vlines(places, low, high, color=style.color, linewidth=0.8)


def _counted(name: str, runs: Sequence[LoggedRun]) -> str:
    seeds = {run.seed for run in runs} - {None}
    return f"{name}, {len(runs)} {'seeds' if len(seeds) == len(runs) else 'runs'}"


def _heading(runs: Sequence[LoggedRun], look: Look) -> str:
    count = f"{len(runs)} runs" if len(runs) > 1 else runs[0].label
    return f"{plain(count)}: mean over seeds; band: ± 1 standard deviation (n − 1)" if look.band else plain(count)


def _known(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
    metrics = [one for one in known if one not in NOT_METRICS]
    shown = sorted(get_close_matches(name, metrics, n=MOST_NAMED, cutoff=0.0)) if len(metrics) > MOST_NAMED else metrics
    others = len(metrics) - len(shown)
    more = f" … and {others} more: qstar runs --json has all" if others else ""
    there = f"logged: {', '.join(shown)}{more}" if metrics else "nothing is logged yet"
    return f"a metric that one of the runs has logged, got {name}{hint} ({there})"
