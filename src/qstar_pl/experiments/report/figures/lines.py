"""A metric of all cells against what was spent: means over seeds with bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any, Literal

from qstar_pl.experiments.curve import band
from qstar_pl.experiments.report.figures.panel import MUTED, Label, LeftOut, Panel, axes, label_ends
from qstar_pl.experiments.report.figures.words import SPENT, handfuls, numbered, of, seeds_of, styles
from qstar_pl.experiments.report.reading import Axis, Results
from qstar_pl.figures import LineStyle, ratio_axis

Scale = Literal["plain", "ratio", "log"]
WIDE = 8.0
"""Largest value ÷ smallest from which on an axis is logarithmic."""
MOST_POINTS, PARTS = 36, 24
"""A curve of more points is drawn by its means over so many parts: single log windows are noise."""
Band = list[tuple[float, float, float]]
"""(x, mean, standard deviation) by rising x."""


@dataclass(frozen=True)
class Lines:
    """What a panel of curves shows."""

    name: str
    title: str
    key: str
    y: str
    """What stands along the y-axis."""
    x: Axis = "samples"
    scale: Scale = "plain"
    """"ratio": r and 1/r are equally far from 1; "log": so are multiples. Both take means of logarithms."""
    around: tuple[float, float] | None = None
    """Values that are shaded, by which the curves are judged."""
    spread: str | None = None
    """Metric that is drawn as the band, averaged over seeds; None: the standard deviation over seeds."""
    note: str = ""
    """Closes the caption."""


def lines(results: Results, what: Lines) -> Iterator[Panel | LeftOut]:
    """Return the panels, or why there is none."""
    found = {cell: values for cell in results.cells if (values := bands(results, cell, what))}
    if not found:
        yield LeftOut(what.title, _why(results, what))
        return
    without = [cell for cell in results.cells if cell not in found]
    groups = handfuls(list(found))
    for number, cells in enumerate(groups):
        reference = results.baseline if results.baseline in found and results.baseline not in cells else None
        yield Panel(
            numbered(what.name, number),
            what.title + of(number, len(groups)),
            _caption(results, what, cells, reference, without),
            _alt(what, {cell: found[cell] for cell in cells}),
            _drawing(what, {cell: found[cell] for cell in cells}, styles(results), found.get(reference or "")),
            2.6 + 0.1 * max(len(cells), 4),
            parts=len(groups),
        )


def bands(results: Results, cell: str, what: Lines) -> Band:
    """Return mean and spread of a cell over its finished seeds; of ratios in logarithms to base e."""
    forward: Callable[[float], float] = float if what.scale == "plain" else math.log
    curves = []
    for run in results.finished(cell):
        points = results.series(cell, run.seed, what.key, what.x)
        pairs = [(float(x), float(y)) for x, y in zip(points.x, points.y, strict=True)]
        kept = [(x, forward(y)) for x, y in pairs if math.isfinite(y) and (y > 0 or what.scale == "plain")]
        if kept and kept[-1][0] > 0:  # a method that spends nothing of it has no curve over it
            curves.append(pooled(kept))
    found = band(curves)
    if what.spread is None or not found:
        return found
    widths = bands(results, cell, Lines("", "", what.spread, "", what.x))
    wide = {x: mean for x, mean, _ in widths}
    return [(x, mean, wide.get(x, 0.0)) for x, mean, _ in found]


def pooled(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the means over `PARTS` equally long parts of a curve that has more points than can be followed."""
    if len(points) <= MOST_POINTS:
        return list(points)
    parts = groupby(points, lambda point: min(int(point[0] / points[-1][0] * PARTS), PARTS - 1))
    return [(fmean(x for x, _ in part), fmean(y for _, y in part)) for part in (list(group) for _, group in parts)]


def _drawing(
    what: Lines, found: Mapping[str, Band], looks: Mapping[str, LineStyle], reference: Band | None
) -> Callable[[Any], None]:
    back = _back(what)

    def draw(figure: Any) -> None:
        axis = axes(figure, SPENT[what.x], what.y)
        if what.around is not None:
            axis.axhspan(*what.around, facecolor=MUTED, alpha=0.15, linewidth=0)
        if reference:
            axis.plot([x for x, _, _ in reference], [back(mean) for _, mean, _ in reference], color=MUTED, linewidth=1)
        for cell, values in found.items():
            look = looks[cell]
            places = [x for x, _, _ in values]
            low, high = ([back(mean + sign * spread) for _, mean, spread in values] for sign in (-1, 1))
            axis.fill_between(places, low, high, color=look.color, alpha=0.13, linewidth=0)
            axis.plot(places, [back(mean) for _, mean, _ in values], **look.line(len(places)))
        if what.scale == "ratio":
            ratio_axis(axis.yaxis)
        elif what.scale == "log":
            _wide(axis)
        thousands(axis.xaxis)
        label_ends(axis, [Label(cell, back(values[-1][1]), looks[cell]) for cell, values in found.items()])

    return draw


def _back(what: Lines) -> Callable[[float], float]:
    return float if what.scale == "plain" else math.exp


def _wide(axis: Any) -> None:
    """Make the y-axis logarithmic if what it shows spans much."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.dataLim.intervaly
    if 0 < WIDE * low <= high:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def thousands(axis: Any) -> None:
    """Write the numbers along an axis as 800, 1,600 or 40k."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def text(value: float, _: int | None = None) -> str:
        return f"{value / 1000:,g}k" if abs(value) >= 10_000 else f"{value:,g}"

    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(text))


def _caption(results: Results, what: Lines, cells: Sequence[str], reference: str | None, without: Sequence[str]) -> str:
    mean = "mean" if what.scale == "plain" else "geometric mean"
    over = seeds_of(results, cells)
    width = "± 1 s.d. over tokens" if what.spread else "± 1 s.d. over seeds (n − 1)"
    said = f"Line: {mean} over {over}; band: {width}." if over != "one seed" or what.spread else "One seed."
    said += f" Means over {PARTS} parts of training." if _is_pooled(results, what, cells) else ""
    said += f" Gray: {reference}, the baseline." if reference else ""
    said += f" {what.note}" if what.note else ""
    return said + (f" Not logged by {', '.join(without)}." if without else "")


def _is_pooled(results: Results, what: Lines, cells: Sequence[str]) -> bool:
    runs = [run for cell in cells for run in results.finished(cell)]
    return any(len(results.series(run.cell, run.seed, what.key, what.x)) > MOST_POINTS for run in runs)


def _alt(what: Lines, found: Mapping[str, Band]) -> str:
    back = _back(what)
    ends = "; ".join(f"{cell} from {back(one[0][1]):.3g} to {back(one[-1][1]):.3g}" for cell, one in found.items())
    return f"{what.y} against {SPENT[what.x]}: {ends}."


def _why(results: Results, what: Lines) -> str:
    if not any(results.finished(cell) for cell in results.cells):
        return "no run has finished"
    logged = any(what.key in results.keys(cell) for cell in results.cells)
    return f"no cell spends {SPENT[what.x]}" if logged else f"no cell logs {what.key}"
