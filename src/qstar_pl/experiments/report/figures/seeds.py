"""How far each cell ended from the baseline, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any

from qstar_pl.experiments.report.figures.panel import INK, LeftOut, Panel, axes, short
from qstar_pl.experiments.report.figures.words import measure, styles
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle

ROW = 0.24
"""Inches of height of a cell."""


def seed_by_seed(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the strip of differences."""
    title = f"Minus {results.baseline}, seed by seed"
    base = {run.seed: run.after.get(results.score, math.nan) for run in results.finished(results.baseline)}
    found: dict[str, list[float]] = {}
    for cell in results.cells[1:]:
        pairs = [
            run.after.get(results.score, math.nan) - base.get(run.seed, math.nan) for run in results.finished(cell)
        ]
        if kept := [value for value in pairs if math.isfinite(value)]:
            found[cell] = kept
    if not found:
        yield LeftOut(title, "no seed has finished both in the baseline and in another cell")
        return
    means = "; ".join(
        f"{cell} {fmean(values):+.3f}, {sum(value > 0 for value in values)} of {len(values)} above zero"
        for cell, values in found.items()
    )
    yield Panel(
        "seeds",
        title,
        "After training: a mark per seed, which shares prompts and their order with the baseline's; upright stroke: "
        "their mean.",
        f"Difference of {measure(results.score)} from {results.baseline}: {means}.",
        _strip(results, found, styles(results)),
        max(1.6, 0.9 + ROW * len(found)),
    )


def _strip(results: Results, found: Mapping[str, list[float]], looks: Mapping[str, LineStyle]) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, f"{measure(results.score)}, minus {results.baseline}", "")
        axis.axvline(0.0, color=INK, linewidth=0.8)
        for row, (cell, values) in enumerate(found.items()):
            look = looks[cell]
            axis.plot(values, [row] * len(values), linestyle="", marker=look.marker, color=look.color, alpha=0.75)
            axis.plot([fmean(values)] * 2, [row - 0.32, row + 0.32], color=look.color, linewidth=2)
        axis.set_yticks(range(len(found)), [short(cell) for cell in found])

        axis.set_xlabel(axis.get_xlabel(), loc="right")
        axis.set_ylim(len(found) - 0.4, -0.6)
        axis.grid(visible=False, axis="y")

    return draw
