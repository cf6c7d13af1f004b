"""Lines that differ in color, dashes and marker, so that they can be told apart by every eye and in black and white."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette (jfly.uni-koeln.de/color), which color-blind readers can tell apart; yellow, too pale for
lines on white, is left out."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
MARKED = 8
"""About so many points of a long line carry its marker."""
MOST_EACH = 60
"""Points of a line that can carry a marker each."""
WIDTH = 7.0
"""Inches of a figure: one column of a page, and readable on a screen at 150 dots per inch."""

SETTINGS: dict[str, Any] = {
    # It comes with matplotlib and has α, θ, π, ‖, ½ and ∞; a reader's own settings may name a font without them.
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "figure.titlesize": 10.5,
    "axes.titlesize": 8.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.handlelength": 3.0,  # long enough for all dashes
    "lines.linewidth": 1.4,
    "lines.markersize": 4.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,  # 0.5003 as itself, not as "3e-4 + 5e-1" in a corner
    "savefig.dpi": 150,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.hashsalt": "qstar-pl",  # else ids inside an SVG differ from one writing to the next
}
"""On top of matplotlib's own defaults; what a user's matplotlibrc says does not count, so a figure's bytes follow from
its numbers."""


@dataclass(frozen=True)
class LineStyle:
    """One of the looks of a line or of a cloud of points."""

    color: str
    dashes: Any
    marker: str

    def line(self, points: int, *, each: bool = False) -> dict[str, Any]:
        """Return keywords of `Axes.plot` for a line of so many points.

        Some of them are marked, a lone one in any case, or each if that is asked for and they are not too many.
        """
        every = 1 if each and points <= MOST_EACH else max(1, points // MARKED)
        return {"color": self.color, "linestyle": self.dashes, "marker": self.marker, "markevery": every}


def line_style(number: int) -> LineStyle:
    """Return the look of line `number`, from 0: the first 28 are all different."""
    return LineStyle(COLORS[number % len(COLORS)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in this project's style within the block, and as before after it."""
    mpl = _matplotlib()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def _matplotlib() -> Any:
    """Return matplotlib, which refuses to be imported where MPLBACKEND names a backend that is not installed.

    Notebooks set it for all that is started from them. Drawing into files needs none, a caller's own pyplot does.
    """
    imported = "matplotlib" in sys.modules
    named = None if imported else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named is not None:
        with suppress(ValueError):
            mpl.rcParams["backend"] = named
    return mpl
