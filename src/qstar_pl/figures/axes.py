"""What stands around the lines: titles, notes, legends, shaded bands, and the axes of ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from qstar_pl.figures.style import WIDTH

LONGEST_LABEL = 70
LETTERS = 124
"""About so many letters of the legend's size fit a figure of the usual width."""
MARGIN = 12
"""Letters' width of what stands to the left of a panel."""
HANDLE = 11
"""Letters' width of a line's sample and the gap beside it."""
FRACTIONS = {0.5: "½", 0.25: "¼", 0.125: "⅛"}


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: a `$` begins no formula, and a leading `_` hides no label."""
    shown = text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL // 2 - 1]}…{text[-LONGEST_LABEL // 2 :]}"
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def title(figure: Any, text: str) -> None:
    """Put a title above all panels, on the left."""
    figure.suptitle(_folded(text, 0.8 * _letters(figure)), x=0.01, horizontalalignment="left")


def note(axis: Any, *parts: str) -> None:
    """Put what a reader of one panel must know above it, in small letters: "2 answers outside the axis; 1 NaN"."""
    said = "; ".join(part for part in parts if part)
    if said:
        columns = axis.get_gridspec().ncols if axis.get_gridspec() is not None else 1
        axis.set_title(_folded(said, _letters(axis.figure) / columns - MARGIN), loc="left", color="0.35")


def _letters(figure: Any) -> float:
    return float(LETTERS * figure.get_figwidth() / WIDTH)


def _folded(text: str, letters: float) -> str:
    return fill(text, max(20, int(letters)), break_long_words=False, break_on_hyphens=False)


def legend_below(figure: Any) -> None:
    """Explain all labeled lines, points and bands of all panels once, below the figure and off the data."""
    named: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        columns = max(1, min(len(named), int(_letters(figure)) // (max(map(len, named)) + HANDLE)))
        made = figure.legend(list(named.values()), list(named), loc="outside lower left", ncols=columns)
        for handle in made.legend_handles:
            if hasattr(handle, "get_sizes"):  # of a cloud, whose points are pale so that many can be seen
                handle.set_alpha(1.0)


def shade(
    axis: Any, low: float, high: float, *, along: str, label: str | None = None, hatch: str | None = None
) -> None:
    """Shade the values from `low` to `high` along "x" or "y", by which what is drawn is judged.

    A hatch tells one band from another.
    """
    span = axis.axvspan if along == "x" else axis.axhspan
    span(low, high, facecolor=(0, 0, 0, 0.08), edgecolor=(0, 0, 0, 0.25), linewidth=0.0, hatch=hatch, label=label)


def finite_points(points: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], str]:
    """Return the points whose numbers are finite, and how many others there are in words ("" if none)."""
    kept = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    lost = len(points) - len(kept)
    return kept, f"{lost} of {len(points)} points NaN or infinite" if lost else ""


def ratio_axis(axis: Any) -> None:
    """Make an x- or y-axis (`axes.xaxis`, `axes.yaxis`) logarithmic to base 2, with ticks such as ½, 1 and 2.

    On it r and 1/r are equally far from 1. Where less than two octaves are in view, ticks are round numbers such as
    0.9, 1 and 1.1.
    """
    from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator

    class Ratios(Locator):
        def __call__(self) -> Any:
            return self.tick_values(*axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> Any:
            low, high = sorted((vmin, vmax))
            if low <= 0 or high / low < 4:
                return MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
            step = -(-(last - first + 1) // 9)  # at most nine ticks, 1 among them
            return [2.0**power for power in range(first - first % step, last + 1, step) if power >= first]

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=2)
    axis.set_major_locator(Ratios())
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: ratio_text(value)))


def ratio_text(value: float) -> str:
    """Return a ratio as one would write it: ½, 1/16, 1, 1.5, 2."""
    if value in FRACTIONS:
        return FRACTIONS[value]
    if 0 < value < 1 and (1 / value).is_integer() and math.log2(1 / value).is_integer():
        return f"1/{1 / value:.0f}"
    return f"{value:.4g}"
