"""How well q covers both models: ESS_θ against ESS_t, and their ratio over training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from qstar_pl.experiments.report.contents import Floats
from qstar_pl.experiments.report.figures.lines import Lines, lines
from qstar_pl.experiments.report.figures.panel import INK, MUTED, LeftOut, Panel, axes, short
from qstar_pl.experiments.report.figures.words import handfuls, numbered, of, styles
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle

POLICY, TARGET, RATIO = "ess/policy", "ess/target", "ess/ratio"
BALANCED = (0.8, 1.2)
"""Ratios that the criterion calls balanced."""


def effective_sizes(results: Results) -> Iterator[Panel | LeftOut]:
    """Return ESS_θ against ESS_t with the diagonal, and the ratio over samples."""
    yield from both(results)
    what = Lines(
        "ess_ratio",
        "ESS ratio over training",
        RATIO,
        "ESS_θ / ESS_t",
        scale="ratio",
        around=BALANCED,
        note="Shaded: 0.8 to 1.2.",
    )
    yield from lines(results, what)


def both(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the panels of ESS_θ against ESS_t."""
    title = "ESS of both models"
    found: dict[str, tuple[Floats, Floats]] = {}
    for cell in results.cells:
        pairs = [_windows(results, cell, run.seed) for run in results.finished(cell)]
        kept = [np.concatenate(parts) for parts in zip(*pairs, strict=True)] if pairs else [np.empty(0)] * 2
        if len(kept[0]):
            found[cell] = (kept[0], kept[1])
    if not found:
        yield LeftOut(title, f"no finished run logs {POLICY} and {TARGET}")
        return
    groups = handfuls(list(found), 4)
    for number, cells in enumerate(groups):
        these = {cell: found[cell] for cell in cells}
        means = "; ".join(f"{cell} {y.mean():.3f} against {x.mean():.3f}" for cell, (x, y) in these.items())
        yield Panel(
            numbered("ess_both", number),
            title + of(number, len(groups)),
            "A mark per log window and seed. On the diagonal q serves π_θ and π_t equally well; shaded: ratios from "
            "0.8 to 1.2.",
            f"ESS of the policy against ESS of the target, means: {means}.",
            _cloud(these, styles(results)),
            3.4,
            parts=len(groups),
        )


def _windows(results: Results, cell: str, seed: int) -> tuple[Floats, Floats]:
    """Return (ESS_t, ESS_θ) of the windows that logged both."""
    policy, target = (results.series(cell, seed, key, "step") for key in (POLICY, TARGET))
    _, here, there = np.intersect1d(target.x, policy.x, return_indices=True)
    x, y = target.y[here], policy.y[there]
    kept = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    return x[kept], y[kept]


def _cloud(found: Mapping[str, tuple[Floats, Floats]], looks: Mapping[str, LineStyle]) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, "ESS_t: of the target's weights under q", "ESS_θ: of the policy's weights under q")
        numbers = np.concatenate([part for pair in found.values() for part in pair])
        low, high = float(numbers.min()), float(numbers.max())
        room = 0.06 * (high - low) or 0.05
        ends = np.array([low - room, high + room])
        axis.fill_between(ends, BALANCED[0] * ends, BALANCED[1] * ends, color=MUTED, alpha=0.15, linewidth=0)
        axis.plot(ends, ends, color=INK, linewidth=0.8)
        for cell, (x, y) in found.items():
            look = looks[cell]
            axis.plot(x, y, linestyle="", marker=look.marker, color=look.color, alpha=0.45, markersize=3.5, mew=0)
            # Drawn once more for the legend, since the cloud is pale.
            axis.plot([], [], linestyle="", marker=look.marker, color=look.color, label=short(cell))
        axis.set(xlim=ends, ylim=ends)
        axis.set_aspect("equal")
        figure.legend(loc="outside right upper", handlelength=1.2)

    return draw
