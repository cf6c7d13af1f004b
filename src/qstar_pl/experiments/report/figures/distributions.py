"""Histograms that were recorded while training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qstar_pl.experiments.report.contents import Floats, Histogram
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, axes, short
from qstar_pl.experiments.report.figures.words import handfuls, numbered, of, styles
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle

LATE = 0.5
"""Windows after this part of training are counted."""
SHOWN = 0.999
"""Share of what was counted that the axis is made for."""


@dataclass(frozen=True)
class Bins:
    """What a panel of histograms shows."""

    name: str
    title: str
    quantity: str
    x: str
    y: str
    unit: float
    """Width that the shares are per."""


@dataclass(frozen=True)
class Counted:
    """How often a cell's quantity fell where, over seeds and windows."""

    low: Floats
    high: Floats
    count: Floats

    @property
    def finite(self) -> Any:
        """[bins], whether a bin has two ends."""
        return np.isfinite(self.low) & np.isfinite(self.high)

    @property
    def outside(self) -> float:
        """Share that fell into open bins."""
        return float(self.count[~self.finite].sum() / self.count.sum())

    def middle(self) -> float:
        """Return the upper edge of the bin that holds the median."""
        place = int(np.searchsorted(np.cumsum(self.count), self.count.sum() / 2))
        return float(self.high[min(place, len(self.high) - 1)])

    def ends(self) -> tuple[float, float]:
        """Return the finite edges between which `SHOWN` of all lies."""
        low, high, count = self.low[self.finite], self.high[self.finite], self.count[self.finite]
        if not count.sum():
            return float(low.min()), float(high.max())
        total = np.cumsum(count) / count.sum()
        first = int(np.searchsorted(total, (1 - SHOWN) / 2))
        last = min(int(np.searchsorted(total, 1 - (1 - SHOWN) / 2)), len(low) - 1)
        return float(low[first]), float(high[last])


def late(recorded: Sequence[Histogram]) -> Sequence[Histogram]:
    """Return those of a run's windows that are counted."""
    last = max((one.step for one in recorded), default=0)
    return [one for one in recorded if one.step > LATE * last]


def counted(results: Results, cell: str, quantity: str) -> Counted | None:
    """Return what a cell's finished runs recorded in the later half of their training; None for nothing."""
    sums: dict[tuple[float, float], float] = {}
    for run in results.finished(cell):
        for one in late(results.histograms(cell, run.seed, quantity)):
            for low, high, count in zip(one.low, one.high, one.count, strict=True):
                sums[float(low), float(high)] = sums.get((float(low), float(high)), 0.0) + float(count)
    if not sum(sums.values()):
        return None
    edges = sorted(sums)
    low, high = (np.array(side, dtype=np.float64) for side in zip(*edges, strict=True))
    return Counted(low, high, np.array([sums[one] for one in edges]))


def histogram(results: Results, what: Bins) -> Iterator[Panel | LeftOut]:
    """Return the panels, or why there is none."""
    if results.distributions is None:
        yield LeftOut(what.title, "the runs did not record distributions")
        return
    found = {cell: one for cell in results.cells if (one := counted(results, cell, what.quantity)) is not None}
    if not found:
        yield LeftOut(what.title, f"no finished run recorded {what.quantity}")
        return
    groups = handfuls(list(found), 4)
    for number, cells in enumerate(groups):
        these = {cell: found[cell] for cell in cells}
        medians = "; ".join(f"{cell} {one.middle():.3g}" for cell, one in these.items())
        yield Panel(
            numbered(what.name, number),
            what.title + of(number, len(groups)),
            f"All seeds together, in the second half of training.{_beyond(these)}",
            f"Histogram of {what.x}. Medians, at most: {medians}.",
            _steps(what, these, styles(results)),
            parts=len(groups),
        )


def _beyond(found: Mapping[str, Counted]) -> str:
    """Return what is not drawn, for the caption: " Beyond the bins: off_policy 0.3%."; nothing for less than 0.05%."""
    shares = [f"{cell} {one.outside:.1%}" for cell, one in found.items() if one.outside >= 0.0005]
    return f" Beyond the bins: {', '.join(shares)}." if shares else ""


def _steps(what: Bins, found: Mapping[str, Counted], looks: Mapping[str, LineStyle]) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, what.x, what.y)
        for cell, one in found.items():
            kept = one.finite
            low, high = one.low[kept], one.high[kept]
            share = one.count[kept] / one.count.sum() * what.unit / (high - low)
            look = looks[cell]
            edges = np.append(low, high[-1])
            axis.stairs(share, edges, color=look.color, linestyle=look.dashes, linewidth=1.4, label=short(cell))
        sides = [one.ends() for one in found.values()]
        axis.set_xlim(min(low for low, _ in sides), max(high for _, high in sides))
        axis.set_ylim(bottom=0)
        figure.legend(loc="outside right upper", handlelength=2.2)

    return draw
