"""The figure of `qstar quickstart`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.experiments.curve import band, is_measured
from qstar_pl.experiments.seeds import SeedResult
from qstar_pl.figures import (
    drawn,
    finite_points,
    legend_below,
    line_style,
    note,
    plain,
    ratio_axis,
    shade,
    title,
    with_unit,
)

PANEL = 2.7
"""Inches of height of a row of panels."""
ACCEPTED = (0.5, 2.0)
"""The ESS ratios that `Guards` accepts by default."""


@dataclass(frozen=True)
class Panel:
    """Metrics on one axis."""

    name: str
    """What the axis shows, with its unit."""
    lines: tuple[tuple[str, str], ...]
    """(metric, what it is)."""
    ratio: bool = False
    """Whether r and 1/r are equally far from 1."""


PANELS = (
    Panel(
        "reward per answer",
        (
            ("val/reward_gold", "gold reward, π_θ on held-out prompts"),
            ("reward/gold", "gold reward, answers of q*"),
            ("reward/proxy", "proxy reward, answers of q*"),
        ),
    ),
    Panel(
        "between 0 and 1",
        (("alpha/mean", "mean α* over tokens"), ("weights/ess_fraction", "ESS/N of answers' weights")),
    ),
    Panel("ESS_θ / ESS_t (log axis)", (("ess/ratio", "ESS ratio of q*"),), ratio=True),
    Panel("nats per answer", (("kl/policy_reference", "D(π_θ‖π_init)"),)),
)


def save_figure(results: Sequence[SeedResult], path: Path) -> bool:
    """Draw rewards, α, ESS and divergence along the training: of several seeds the mean, and the spread as a band.

    Panels of metrics that the method does not log are left out.

    Returns:
        Whether there was anything to draw.

    """
    panels = [one for one in PANELS if any(result.points(key) for key, _ in one.lines for result in results)]
    if not panels:
        return False
    seeds = len(results)
    rows = math.ceil(len(panels) / 2)
    with drawn(path, PANEL * rows + 1.3, argument="figure") as figure:
        axes = figure.subplots(rows, 2, sharex=True, squeeze=False)
        number = 0
        for axis, panel in zip(axes.flat, panels, strict=False):
            _draw(axis, panel, results, number)
            number += len(panel.lines)  # so that no two lines of the figure look alike
        for axis in axes.flat[len(panels) :]:
            axis.remove()
        for axis in axes.flat[max(0, len(panels) - 2) : len(panels)]:
            axis.set_xlabel(with_unit("step"))
            axis.tick_params(labelbottom=True)
        spread = f"mean of {seeds} seeds; band: ± 1 standard deviation (n − 1)" if seeds > 1 else "1 seed"
        title(figure, f"{plain(results[0].name)}, {spread}")
        legend_below(figure)
    return True


def _draw(axis: Any, panel: Panel, results: Sequence[SeedResult], number: int) -> None:
    there, back = (math.log, math.exp) if panel.ratio else (float, float)
    said = ["mean of logarithms"] if panel.ratio and len(results) > 1 else []
    for index, (key, name) in enumerate(panel.lines):
        curves = []
        for result in results:
            points, lost = finite_points([(float(step), value) for step, value in result.points(key)])
            said += [f"{key}, seed {result.seed}: {lost}"] if lost else []
            curves.append([(step, there(value)) for step, value in points if not panel.ratio or value > 0])
        values = band(curves)
        if not values:
            continue
        style = line_style(number + index)
        steps = [step for step, _, _ in values]
        look = style.line(len(steps), each=is_measured(key))
        axis.plot(steps, [back(mean) for _, mean, _ in values], label=name, **look)
        if len(results) > 1:
            low, high = ([back(mean + sign * spread) for _, mean, spread in values] for sign in (-1, 1))
            axis.fill_between(steps, low, high, color=style.color, alpha=0.18, linewidth=0)
    axis.set_ylabel(panel.name)
    if panel.ratio:
        ratio_axis(axis.yaxis)
        shade(axis, *ACCEPTED, along="y", label="shaded: ESS ratio in [½, 2], as Guards accepts")
    note(axis, *said)
