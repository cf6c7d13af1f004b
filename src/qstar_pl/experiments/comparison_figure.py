"""The figure of `qstar experiment`: held-out metrics before and after training, and what divergence bought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from qstar_pl.experiments.comparison import ACCURACY, KL, NAMES, REWARDS, Change, Results, changes
from qstar_pl.figures import drawn, finite_points, legend_below, line_style, note, plain, title
from qstar_pl.figures.style import COLORS

ROW = 0.3
"""Inches of height of a configuration."""
LEGEND = 0.2
"""Inches of height of a line of the legend."""
GOLD = next(iter(REWARDS))
_TITLES = {ACCURACY: "preference accuracy", **{key: f"{NAMES[key]} reward per answer" for key in REWARDS}}


def save_comparison(results: Results, path: Path) -> bool:
    """Draw a panel per metric with a row per configuration, and one of gold reward against divergence.

    Returns:
        Whether there was anything to draw.

    """
    found = changes(results)
    keys = [key for key in NAMES if any(one.key == key for one in found)]
    if not keys:
        return False
    names = list(dict.fromkeys(one.experiment for one in found))
    bought = [one for one in found if one.key == GOLD and all(KL in seed.after for seed in results[one.experiment])]
    rows = len(names) * ROW + 0.9
    below = 3.0 + LEGEND * len(names) / 2 if bought else 0.0
    with drawn(path, rows + below + 0.5, width=max(7.0, 3.0 * len(keys) + 1)) as figure:
        heights = [rows, 3.0] if bought else [rows]
        grid = figure.add_gridspec(len(heights), len(keys), height_ratios=heights)
        for number, key in enumerate(keys):
            axis = figure.add_subplot(grid[0, number])
            _rows(axis, names, [one for one in found if one.key == key])
            axis.set_yticks(range(len(names)), [plain(name) for name in names] if number == 0 else [""] * len(names))
            axis.set_xlabel(_TITLES[key])
        if bought:
            _bought(figure.add_subplot(grid[1, :]), bought, results, names)
        most = max(map(len, results.values()))
        title(figure, f"held-out, {most} seed{'s' if most > 1 else ''}: each seed a mark, their mean an upright stroke")
        legend_below(figure)
    return True


def _rows(axis: Any, names: Sequence[str], found: Sequence[Change]) -> None:
    said = []
    for one in found:
        row = names.index(one.experiment)
        first = not axis.get_legend_handles_labels()[1]
        style = line_style(row)
        before, after = ([value for value in values if math.isfinite(value)] for values in (one.before, one.after))
        if lost := len(one.before) + len(one.after) - len(before) - len(after):
            said.append(f"{plain(one.experiment)}: {lost} NaN or infinite")
        axis.plot(
            before,
            [row] * len(before),
            linestyle="",
            marker="o",
            markerfacecolor="none",
            markeredgecolor="0.5",
            label="before training" if first else None,
        )
        axis.plot(after, [row] * len(after), **_marks(row))
        if after:
            axis.plot([mean(after)] * 2, [row - 0.3, row + 0.3], color=style.color)
        if before and after:
            axis.plot([mean(before), mean(after)], [row, row], color=style.color, linewidth=1.0)
    axis.set_ylim(len(names) - 0.4, -0.6)  # the first one on top
    axis.locator_params(axis="x", nbins=5)
    note(axis, *said)


def _marks(number: int) -> dict[str, Any]:
    """Return keywords of `Axes.plot` for the points of a configuration, hollow where colors and markers begin anew."""
    style = line_style(number)
    face = "none" if number // len(COLORS) % 2 else style.color
    return {"linestyle": "", "marker": style.marker, "color": style.color, "markerfacecolor": face}


def _bought(axis: Any, bought: Sequence[Change], results: Results, names: Sequence[str]) -> None:
    said = []
    for one in bought:
        pairs = list(zip((seed.after[KL] for seed in results[one.experiment]), one.after, strict=True))
        points, lost = finite_points(pairs)
        said += [f"{plain(one.experiment)}: {lost}"] if lost else []
        look = _marks(names.index(one.experiment))
        axis.plot([x for x, _ in points], [y for _, y in points], label=f"{plain(one.experiment)}, after", **look)
    if start := [value for one in bought for value in one.before if math.isfinite(value)]:
        axis.axhline(mean(start), color="0.5", linewidth=0.8, linestyle="--", label="mean before training")
    note(axis, *said)
    axis.set_xlabel("D(π_θ‖π_init), nats per answer")
    axis.set_ylabel(_TITLES[GOLD])
