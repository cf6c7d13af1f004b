"""A figure of the report: small enough for two to stand beside each other on a screen, and one on a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.figures import LineStyle, drawn, plain
from qstar_pl.files import replacing

WIDTH = 4.7
"""Inches. On a phone of 390 px a letter of 9 points is then 9 px high, beside another figure on a screen 12."""
HEIGHT = 3.0
INK, MUTED = "#1b1d21", "#808080"
"""Of everything that is no data, and of what stands for comparison; a page puts its own colors in their place."""
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and shown in the page's own font
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "grid.color": MUTED,
    "figure.constrained_layout.w_pad": 0.06,
}
PALETTE = 128
"""Colors of a picture: more than anybody sees of lines, bands, and the blends of their edges."""
LETTERS = 24
"""Longest name of a cell that is written out."""
GAP = 11.0
"""Points between two labels beside each other."""


@dataclass(frozen=True)
class Panel:
    """One figure, not drawn yet."""

    name: str
    """Stem of its files."""
    title: str
    caption: str
    """What is drawn, and how it was computed."""
    alt: str
    """What a reader who cannot see it is told."""
    draw: Callable[[Any], None]
    """Fills a matplotlib Figure."""
    height: float = HEIGHT
    parts: int = 1
    """So many panels share the cells of an experiment, this one among them."""


@dataclass(frozen=True)
class LeftOut:
    """A figure for which there is no data."""

    title: str
    why: str


@dataclass(frozen=True)
class Label:
    """What is written beside the end of a line."""

    text: str
    value: float
    style: LineStyle
    color: str | None = None
    """None: that of the style."""


def save(panel: Panel, folder: Path) -> Path:
    """Write `folder/NAME.svg` and `.png`; return the first."""
    path = folder / f"{panel.name}.svg"
    with drawn(path, panel.height, width=WIDTH, also=(".png",)) as figure:
        import matplotlib as mpl

        mpl.rcParams.update(_SETTINGS)
        panel.draw(figure)
    _few_colors(path.with_suffix(".png"))
    return path


def _few_colors(file: Path) -> None:
    """Write a picture with a palette, at a third of the size: reports are kept, with hundreds of figures."""
    from PIL import Image

    with Image.open(file) as read:
        picture = read.convert("RGB").quantize(PALETTE, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    with replacing(file) as beside:
        picture.save(beside, format="png", optimize=True)


def axes(figure: Any, x: str, y: str) -> Any:
    """Return the only axes of a figure, with names and units along both."""
    made = figure.subplots()
    made.set_xlabel(plain(x))
    made.set_ylabel(plain(y))
    return made


def short(name: str) -> str:
    """Return a cell's name, its middle left out where it would take the figure's place."""
    return plain(name if len(name) <= LETTERS else f"{name[: LETTERS // 2 - 1]}…{name[-LETTERS // 2 :]}")


def label_ends(axis: Any, labels: Sequence[Label]) -> None:
    """Write what each line is to the right of the axes, at the height of its end but never over another label.

    Call it when everything else has been drawn.
    """
    low, high = axis.get_ylim()
    axis.set_ylim(low, high)
    if not labels:
        return
    tall = axis.figure.get_figheight() * 72 * 0.78 * _share(axis)
    forward = axis.yaxis.get_transform().transform
    bottom, top = (float(forward(value)) for value in (low, high))
    wanted = [(float(forward(one.value)) - bottom) / (top - bottom) for one in labels]
    places = within(apart([min(max(place, 0.0), 1.0) for place in wanted], GAP / tall), GAP / tall)
    for one, end, place in zip(labels, wanted, places, strict=True):
        color = one.color or one.style.color
        axis.plot([1.0, 1.03], [end, place], transform=axis.transAxes, color=color, linewidth=0.6, clip_on=False)
        axis.plot(
            [1.03, 1.07, 1.11],
            [place] * 3,
            transform=axis.transAxes,
            color=color,
            linestyle=one.style.dashes,
            marker=one.style.marker,
            markevery=[1],
            clip_on=False,
        )
        axis.text(1.13, place, short(one.text), transform=axis.transAxes, va="center", fontsize=8.0)


def _share(axis: Any) -> float:
    """Return which part of the figure's height one row of axes has."""
    grid = axis.get_gridspec()
    return 1.0 / grid.nrows if grid is not None else 1.0


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places near those wanted, in the same order of size, no two of them nearer than `gap`.

    Neighbors that would overlap form a block around their mean, as in isotonic regression (pool adjacent violators).
    """
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    blocks: list[tuple[float, int]] = []  # sum of (wanted − offset in the block's ladder), members
    for rank, place in enumerate(order):
        total, count = wanted[place] - rank * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, members = blocks.pop()
            total, count = total + before, count + members
        blocks.append((total, count))
    ladder = [total / count for total, count in blocks for _ in range(count)]
    found = [0.0] * len(wanted)
    for rank, place in enumerate(order):
        found[place] = ladder[rank] + rank * gap
    return found


def within(places: Sequence[float], gap: float) -> list[float]:
    """Return places, `gap` apart, moved between 0 and 1 as far as there is room; what is too much stands below."""
    found = list(places)
    for limit, sign in ((0.0, 1.0), (1.0, -1.0)):
        edge = limit
        for place in sorted(range(len(found)), key=lambda one: (sign * found[one], one)):
            found[place] = max(found[place], edge) if sign > 0 else min(found[place], edge)
            edge = found[place] + sign * gap
    return found
