"""Where each cell ended: the main thing at a glance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.figures.panel import INK, MUTED, LeftOut, Panel, axes, short
from qstar_pl.experiments.report.figures.seeds import ROW
from qstar_pl.experiments.report.figures.words import handfuls, measure, numbered, of, seeds_of, styles
from qstar_pl.experiments.report.groups import TUNED, group_of
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle

MOST = 24
"""Cells of one panel."""


@dataclass(frozen=True)
class End:
    """The score of a cell after training."""

    mean: float
    half: float | None
    """Of Student's 95% interval over seeds; None of one seed."""

    @classmethod
    def of(cls, values: Sequence[float]) -> End:
        """Return that of several seeds, at least one."""
        from scipy.special import stdtrit

        count = len(values)
        if count == 1:
            return cls(values[0], None)
        return cls(fmean(values), float(stdtrit(count - 1, 0.975)) * stdev(values) / math.sqrt(count))


def ends(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the final scores, the highest first."""
    title = "Score at the end"
    found: dict[str, End] = {}
    before = list[float]()
    for cell in results.cells:
        runs = results.finished(cell)
        after = [value for run in runs if math.isfinite(value := run.after.get(results.score, math.nan))]
        before += [value for run in runs if math.isfinite(value := run.before.get(results.score, math.nan))]
        if after:
            found[cell] = End.of(after)
    if not found:
        yield LeftOut(title, f"no finished run measures {results.score}")
        return
    ranked = sorted(found, key=lambda cell: -found[cell].mean)
    parts = [part for cells in by_tuning(results, ranked) for part in handfuls(cells, MOST)]
    start = fmean(before) if before else None
    for number, cells in enumerate(parts):
        these = {cell: found[cell] for cell in cells}
        yield Panel(
            numbered("ends", number),
            title + of(number, len(parts)),
            f"Mean and Student's 95% interval over {seeds_of(results, cells)}. "
            + ("Dashed: before training. " if start is not None else "")
            + f"{_baseline(results, cells)} is the baseline.",
            f"{measure(results.score)} after training: "
            + "; ".join(f"{cell} {one.mean:.3f}" for cell, one in these.items())
            + ".",
            rows(these, styles(results), measure(results.score), start, roles.q_star(results, cells)),
            max(1.6, 0.9 + ROW * len(cells)),
            parts=len(parts),
        )


def by_tuning(results: Results, cells: Sequence[str]) -> list[list[str]]:
    """Return cells with shared and with tuned settings by themselves; all of them where nothing was tuned."""
    levels = {cell: results.factors(cell).get(TUNED, "") for cell in cells}
    kinds = sorted(set(levels.values()))  # "shared" before "tuned"
    return [[cell for cell in cells if levels[cell] == kind] for kind in kinds]


def _baseline(results: Results, cells: Sequence[str]) -> str:
    """Return what these cells are held against; of several conditions, the experiment's baseline."""
    found = {group_of(results, cell).baseline for cell in cells}
    return found.pop() if len(found) == 1 else results.baseline


def rows(
    found: Mapping[str, End], looks: Mapping[str, LineStyle], score: str, start: float | None, bold: str | None
) -> Callable[[Any], None]:
    """Return what draws a row for each cell.

    Args:
        found: cell → its score, from the top down.
        looks: cell → its look.
        score: what stands along the axis.
        start: the score before training.
        bold: the cell whose name stands out.

    """

    def draw(figure: Any) -> None:
        axis = axes(figure, score, "")
        if start is not None:
            axis.axvline(start, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        for row, (cell, end) in enumerate(found.items()):
            look = looks[cell]
            axis.plot([end.mean], [row], linestyle="", marker=look.marker, color=look.color, markersize=6)
            if end.half is not None:
                axis.plot([end.mean - end.half, end.mean + end.half], [row, row], color=look.color, linewidth=2)
            axis.annotate(
                f"{end.mean:.3f}", (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.0, color=INK
            )
        axis.set_yticks(range(len(found)), [short(cell) for cell in found])
        for label, cell in zip(axis.get_yticklabels(), found, strict=True):
            label.set_fontweight("bold" if cell == bold else "normal")
        axis.set_ylim(len(found) - 0.4, -0.6)
        axis.grid(visible=False, axis="y")

    return draw
