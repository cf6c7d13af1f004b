"""The analysis as figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qstar_pl.generation.analyze_reading import Column, Diagnostics
from qstar_pl.generation.analyze_statistics import ess_ratio

MOST_POINTS = 5000
"""Most points per run in a scatter plot; of more rows, evenly spaced ones are drawn."""
ALPHA_BAND, RATIO_BAND = (0.2, 0.8), (0.9, 1.1)  # as in `analyze_statistics.CHECKS`
RATIO_LABEL = "ESS_θ / ESS_t"
LEAST_KL = 1e-6
"""Smaller divergences, in nats, are drawn at this value."""


@dataclass(frozen=True)
class Drawing:
    """What a file shows, and for which runs."""

    draw: Callable[[Any, Sequence[Diagnostics], Any], None]
    """Called with (axes, runs, colors)."""
    columns: tuple[str, ...]
    """A run must have values in all of them to be shown."""
    panels: int = 1


def save_figures(runs: Sequence[Diagnostics], folder: Path) -> list[str]:
    """Draw distributions of α and of the ESS ratio, both KLs, α against ESS ratio, and all of them along the rows.

    Every ratio is on a logarithmic axis, where r and 1/r are equally far from 1; legends lie outside the axes. Runs
    without π_t have nothing to show; a figure that would be empty is left out.

    Returns:
        The files' names.

    """
    import matplotlib as mpl

    mpl.use("Agg")  # needs no display
    from matplotlib import pyplot as plt

    colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined, unused-ignore]
    drawn = []
    for name, drawing in DRAWINGS.items():
        shown = [run for run in runs if all(np.isfinite(run.columns[column]).any() for column in drawing.columns)]
        if not shown:
            continue
        size = (8.0, 3.4 + 2.0 * (drawing.panels - 1)) if drawing.panels > 1 else (8.0, 4.6)
        figure, axes = plt.subplots(drawing.panels, 1, figsize=size, layout="constrained", squeeze=False)
        drawing.draw(axes[:, 0], shown, colours)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=min(3, len(labels)), fontsize=8, frameon=False)
        figure.savefig(folder / name, dpi=150)
        plt.close(figure)
        drawn.append(name)
    return drawn


def rolling_mean(values: Column, window: int) -> Column:
    """Return the mean of the finite ones among the last `window` values up to each one (fewer at the start)."""
    # By differences of cumulative sums: O(rows), whatever the window.
    finite_mask = np.isfinite(values)
    sums = np.concatenate([[0.0], np.where(finite_mask, values, 0.0).cumsum()])
    counts = np.concatenate([[0], finite_mask.cumsum()])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[ends] - sums[starts]) / (counts[ends] - counts[starts]))


def rolling_ratio(run: Diagnostics, window: int) -> Column:
    """Return Σ ESS_θ / Σ ESS_t over the tokens of the last `window` answers; with ratios only, their geometric mean."""
    theta, t, tokens = (run.columns[name] for name in ("ess_theta_mean", "ess_t_mean", "tokens"))
    # An answer's sum over tokens is its mean times its number of tokens; where that is unknown, answers count equally.
    tokens = np.where(np.isfinite(tokens), tokens, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        if np.isfinite(theta * t).any():
            return np.asarray(rolling_mean(tokens * theta, window) / rolling_mean(tokens * t, window))
        return np.asarray(np.exp(rolling_mean(np.log(run.columns["ess_ratio"]), window)))


def _alphas(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    (axis,) = axes
    columns = [_finite(run.columns["alpha_mean"]) for run in runs]
    joined = np.concatenate(columns)
    low, high = float(joined.min()), float(joined.max())
    # With a fixed α all values are equal, and bins need some width.
    bins: Any = np.linspace(low, high, 41) if high > low else np.linspace(low - 0.05, high + 0.05, 41)
    for number, (run, values) in enumerate(zip(runs, columns, strict=True)):
        colour, label = colours[number % len(colours)], f"{run.name}: mean {values.mean():.3f}"
        axis.hist(values, bins=bins, color=colour, alpha=0.5, label=label)
        axis.axvline(values.mean(), color=colour, linewidth=1.4)
    _finish(axis, "mean α of an answer", "answers", x_band=ALPHA_BAND)


def _ratios(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    (axis,) = axes
    columns = [_positive(run.columns["ess_ratio"]) for run in runs]
    # The band is always in view; equal bins on a log axis are geometric.
    joined = np.concatenate([*columns, np.array(RATIO_BAND)])
    bins = np.geomspace(joined.min() / 1.02, joined.max() * 1.02, 61)
    for number, (run, values) in enumerate(zip(runs, columns, strict=True)):
        colour, whole = colours[number % len(colours)], ess_ratio(run).value
        label = f"{run.name}: {whole:.3f} over the run" if whole is not None else f"{run.name}: undefined over the run"
        axis.hist(values, bins=bins, color=colour, alpha=0.5, label=label)
        if whole:
            axis.axvline(whole, color=colour, linewidth=1.4)
    axis.set_xscale("log")
    _ratio_ticks(axis.xaxis)
    _finish(axis, f"{RATIO_LABEL} of an answer (log axis)", "answers", x_band=RATIO_BAND)


def _divergences(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    (axis,) = axes
    seen = [np.array([1.0])]
    for number, run in enumerate(runs):
        pair = [np.maximum(_thinned(run, name), LEAST_KL) for name in ("kl_theta_mean", "kl_t_mean")]
        axis.scatter(*pair, s=6, alpha=0.4, color=colours[number % len(colours)], label=run.name)
        seen += [_finite(values) for values in pair]
    joined = np.concatenate(seen)
    ends = (joined.min() / 1.5, joined.max() * 1.5)
    axis.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="KL symmetry")
    axis.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    _finish(axis, "D(q‖π_θ) of an answer, nats/token (log axis)", "D(q‖π_t), nats/token (log axis)")


def _alpha_and_ratio(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    (axis,) = axes
    for number, run in enumerate(runs):
        alpha, ratio = (_thinned(run, name) for name in ("alpha_mean", "ess_ratio"))
        axis.scatter(alpha, ratio, s=6, alpha=0.4, color=colours[number % len(colours)], label=run.name)
    axis.set_yscale("log")
    _ratio_ticks(axis.yaxis)
    _finish(axis, "mean α of an answer", f"{RATIO_LABEL} (log axis)", x_band=ALPHA_BAND, y_band=RATIO_BAND)


def _evolution(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    for number, run in enumerate(runs):
        window = max(1, run.rows // 50)
        style: dict[str, Any] = {"color": colours[number % len(colours)], "linewidth": 1.2}
        axes[0].plot(rolling_mean(run.columns["alpha_mean"], window), label=run.name, **style)
        axes[1].plot(rolling_ratio(run, window), **style)
        for column, dashes in (("kl_theta_mean", "-"), ("kl_t_mean", ":")):
            axes[2].plot(rolling_mean(run.columns[column], window), linestyle=dashes, **style)
    axes[1].set_yscale("log")
    _ratio_ticks(axes[1].yaxis)
    _finish(axes[0], "", "α, rolling mean", y_band=ALPHA_BAND)
    _finish(axes[1], "", f"{RATIO_LABEL}, rolling", y_band=RATIO_BAND)
    _finish(axes[2], "answer, in the order of the data", "nats: D(q‖π_θ) —, D(q‖π_t) ⋯")


DRAWINGS = {
    "alpha.png": Drawing(_alphas, ("alpha_mean",)),
    "ess_ratio.png": Drawing(_ratios, ("ess_ratio",)),
    "kl.png": Drawing(_divergences, ("kl_theta_mean", "kl_t_mean")),
    "alpha_ess.png": Drawing(_alpha_and_ratio, ("alpha_mean", "ess_ratio")),
    "evolution.png": Drawing(_evolution, ("alpha_mean",), panels=3),
}


def _finite(values: Column) -> Column:
    return values[np.isfinite(values)]


def _positive(values: Column) -> Column:
    return values[np.isfinite(values) & (values > 0)]


def _thinned(run: Diagnostics, column: str) -> Column:
    return run.columns[column][:: max(1, -(-run.rows // MOST_POINTS))]  # ⌈rows / MOST_POINTS⌉


def _ratio_ticks(axis: Any) -> None:
    """Label 0.5, 1, 2 instead of powers of ten, which the range of a ratio near 1 does not include."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(LogLocator(10, subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _finish(
    axis: Any, x: str, y: str, *, x_band: tuple[float, float] | None = None, y_band: tuple[float, float] | None = None
) -> None:
    if x_band is not None:
        axis.axvspan(*x_band, color="black", alpha=0.06)
    if y_band is not None:
        axis.axhspan(*y_band, color="black", alpha=0.06)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.25)
