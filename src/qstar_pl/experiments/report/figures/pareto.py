"""What was reached in which time: the cells that no other beats in both are the front."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from qstar_pl.experiments.report.figures.panel import MUTED, Label, LeftOut, Panel, axes, label_ends
from qstar_pl.experiments.report.figures.words import SPENT, handfuls, listed, measure, numbered, of, styles
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle


@dataclass(frozen=True)
class Place:
    """Mean ± standard deviation of a cell's runs."""

    seconds: float
    score: float
    seconds_spread: float
    score_spread: float


def pareto(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the panels of final score against seconds of training."""
    title = "Time and performance"
    found = {cell: place for cell in results.cells if (place := _place(results, cell)) is not None}
    if not found:
        yield LeftOut(title, "no finished run has both a score and a clock")
        return
    best = front(found)
    groups = handfuls(list(found))
    for number, cells in enumerate(groups):
        these = {cell: found[cell] for cell in cells}
        places = "; ".join(f"{cell} {one.score:.3f} after {one.seconds:.0f} s" for cell, one in these.items())
        yield Panel(
            numbered("time_pareto", number),
            title + of(number, len(groups)),
            f"After the whole budget: means over seeds, ± 1 s.d. No other cell is both faster and better than "
            f"{listed(best)}, the front (gray).",
            f"{measure(results.score)} against seconds of training: {places}.",
            _drawing(results, these, [found[cell] for cell in best], styles(results)),
            2.6 + 0.1 * max(len(cells), 4),
            parts=len(groups),
        )


def front(found: Mapping[str, Place]) -> list[str]:
    """Return the cells that no other beats in both, the fastest first."""
    kept, best = [], -math.inf
    for cell, place in sorted(found.items(), key=lambda one: (one[1].seconds, -one[1].score)):
        if place.score > best:
            kept.append(cell)
            best = place.score
    return kept


def _place(results: Results, cell: str) -> Place | None:
    pairs = []
    for run in results.finished(cell):
        points = results.series(cell, run.seed, results.score, "seconds")
        score = run.after.get(results.score, math.nan)
        if len(points) and math.isfinite(score):
            pairs.append((float(points.x[-1]), score))
    if not pairs:
        return None
    seconds, scores = zip(*pairs, strict=True)
    several = len(pairs) > 1
    return Place(fmean(seconds), fmean(scores), stdev(seconds) if several else 0.0, stdev(scores) if several else 0.0)


def _drawing(
    results: Results, found: Mapping[str, Place], best: Sequence[Place], looks: Mapping[str, LineStyle]
) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, SPENT["seconds"], measure(results.score))
        axis.plot(
            [one.seconds for one in best],
            [one.score for one in best],
            color=MUTED,
            linewidth=2.5,
            alpha=0.5,
            drawstyle="steps-post",
        )
        for cell, one in found.items():
            look = looks[cell]
            axis.errorbar(
                one.seconds,
                one.score,
                one.score_spread,
                one.seconds_spread,
                color=look.color,
                marker=look.marker,
                markersize=5,
                elinewidth=0.8,
            )
        label_ends(axis, [Label(cell, one.score, looks[cell]) for cell, one in found.items()])

    return draw
