"""Which method wins under which condition, at parts of the budget: a grid for each part, one below the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qstar_pl.experiments.report.figures.panel import LeftOut, Panel
from qstar_pl.experiments.report.figures.words import listed, look
from qstar_pl.experiments.report.groups import METHOD
from qstar_pl.experiments.report.map import Margin, Place, is_map, places
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import plain

ROW, AROUND = 0.4, 0.55
"""Inches of a row, and of the title and names around each grid."""
PAPER = "#ffffff"
"""A page puts its own paper in its place."""


def the_map(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the figure; nothing for an experiment that is no map."""
    if not is_map(results):
        return
    found = places(results)
    if not found:
        yield LeftOut("The map", "no condition has two methods that have finished with the same seed")
        return
    across, down = _axes(found)
    parts = {share: [one for one in found if one.share == share] for share in dict.fromkeys(p.share for p in found)}
    rows = list(dict.fromkeys(_name(place, down) for place in found))
    yield Panel(
        "map",
        "The map: which method wins where",
        _caption(results, found),
        _alt(results, found),
        _drawing(results, parts, across, down),
        len(parts) * (ROW * len(rows) + AROUND) + 0.2,
    )


def _axes(found: Sequence[Place]) -> tuple[str, tuple[str, ...]]:
    """Return the axis that lies across, the one of fewest levels, and those that go down."""
    levels = {axis: {place.levels.get(axis) for place in found} for place in found for axis in place.levels}
    across = min(levels, key=lambda axis: len(levels[axis]))
    return across, tuple(axis for axis in levels if axis != across)


def _name(place: Place, axes: Sequence[str]) -> str:
    return ", ".join(place.levels.get(axis, "") for axis in axes)


def _drawing(
    results: Results, parts: Mapping[float, Sequence[Place]], across: str, down: Sequence[str]
) -> Callable[[Any], None]:
    everywhere = [place for part in parts.values() for place in part]
    columns = list(dict.fromkeys(place.levels.get(across, "") for place in everywhere))
    rows = list(dict.fromkeys(_name(place, down) for place in everywhere))
    methods = dict.fromkeys(results.factors(cell).get(METHOD, cell) for cell in results.cells)
    colors = {method: look(number).color for number, method in enumerate(methods)}
    unit = results.budget[0] if results.budget else ""

    def draw(figure: Any) -> None:
        grids = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
        for grid, (share, part) in zip(grids, parts.items(), strict=True):
            for place in part:
                at = (columns.index(place.levels.get(across, "")), rows.index(_name(place, down)))
                _square(grid, at, place, colors[place.best])
            grid.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
            grid.set_xticks([number + 0.5 for number in range(len(columns))], list(map(plain, columns)))
            grid.set_yticks([number + 0.5 for number in range(len(rows))], list(map(plain, rows)))
            grid.tick_params(length=0)
            grid.grid(visible=False)
            grid.spines[:].set_visible(False)
            grid.set_title(f"after {part[0].spent:,.0f} {unit} ({_share(share)})", loc="left")
            grid.set_ylabel(plain(", ".join(down)))
        grids[-1].set_xlabel(plain(across))

    return draw


def _square(grid: Any, at: tuple[int, int], place: Place, color: str) -> None:
    """Draw a place: tinted where it is decided, else hatched; ink on paper can be read on both, in the dark too."""
    from matplotlib.patches import Rectangle

    corner, size = (at[0] + 0.03, at[1] + 0.06), (0.94, 0.88)
    filled = {"facecolor": color, "alpha": 0.35} if place.is_decided else {"facecolor": "none", "hatch": "////"}
    grid.add_patch(Rectangle(corner, *size, edgecolor=color, linewidth=0, **filled))
    grid.add_patch(Rectangle(corner, *size, edgecolor=color, facecolor="none", linewidth=1.4))
    box = None if place.is_decided else {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
    middle = at[0] + 0.5
    for text, height, points, weight in (
        (place.best, 0.32, 8.5, "bold"),
        (_margin(place.over_second), 0.69, 7.5, "normal"),
    ):
        where = {"ha": "center", "va": "center", "fontsize": points, "fontweight": weight, "bbox": box}
        grid.text(middle, at[1] + height, plain(text), **where)


def _margin(margin: Margin) -> str:
    """Return "+.05 [−.01, +.11]"."""
    at = margin.interval
    return _short(margin.mean) + ("" if at is None else f" [{_short(at.low)}, {_short(at.high)}]")


def _short(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def _share(share: float) -> str:
    return "the whole budget" if share == 1 else f"{Fraction(share).limit_denominator(100)} of the budget"


def _caption(results: Results, found: Sequence[Place]) -> str:
    counts = sorted({len(place.seeds) for place in found})
    seeds = "one seed" if counts == [1] else f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    return (
        f"Name and color: the method of the highest mean {results.score} over {seeds}. Number: its margin over the "
        "second, paired by seed, with Student's 95% interval over seeds. Hatched: undecided, the interval holds 0. "
        "Intervals are of one place each, not corrected for their number, and winners are chosen by the same numbers; "
        "the table has p after Holm. Parts of the budget are read off the learning curves."
    )


def _alt(results: Results, found: Sequence[Place]) -> str:
    said = []
    for share in dict.fromkeys(place.share for place in found):
        part = [place for place in found if place.share == share]
        wins, sure = (Counter(place.best for place in part if place.is_decided or not only) for only in (False, True))
        counted = listed(f"{method} in {count} ({sure[method]} decided)" for method, count in wins.most_common())
        said.append(f"after {part[0].spent:,.0f} {results.budget[0] if results.budget else ''} {counted}")
    return f"The best method of {len(found) // len(said)} conditions: {'; '.join(said)}."
