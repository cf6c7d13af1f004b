"""The analysis as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qstar_pl.generation.analyze_statistics import Column, Diagnostics

MOST_POINTS = 5000
"""Of a scatter plot, per run; of more rows, evenly spread ones are drawn."""


def save_figures(runs: Sequence[Diagnostics], folder: Path) -> list[str]:
    """Draw α and ESS-ratio distributions, α against ESS ratio, and both along the rows; return the files' names.

    Runs without π_t have nothing to show; without any other, nothing is drawn.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    runs = [run for run in runs if np.isfinite(run.columns["alpha_mean"]).any()]
    if not runs:
        return []
    colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined, unused-ignore]
    drawings: dict[str, Callable[[Any], None]] = {
        "alpha.png": lambda axes: _histogram(axes, runs, colours, "alpha_mean", "mean α of an answer", (0.2, 0.8)),
        "ess_ratio.png": lambda axes: _histogram(
            axes, runs, colours, "ess_ratio_mean", "mean ESS_θ/ESS_t of an answer", (0.9, 1.1)
        ),
        "alpha_ess.png": lambda axes: _scatter(axes, runs, colours),
        "evolution.png": lambda axes: _evolution(axes, runs, colours),
    }
    for name, draw in drawings.items():
        panels = 2 if name == "evolution.png" else 1
        figure, axes = plt.subplots(panels, 1, figsize=(8, 3.2 + 1.2 * panels), layout="constrained", squeeze=False)
        draw(axes[:, 0])
        figure.savefig(folder / name, dpi=150)
        plt.close(figure)
    return list(drawings)


def rolling_mean(values: Column, window: int) -> Column:
    """Return the mean over the last `window` values up to each one (fewer at the start), those that are finite."""
    finite_mask = np.isfinite(values)
    sums = np.concatenate([[0.0], np.where(finite_mask, values, 0.0).cumsum()])
    counts = np.concatenate([[0], finite_mask.cumsum()])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[ends] - sums[starts]) / (counts[ends] - counts[starts]))


def _histogram(
    axes: Any, runs: Sequence[Diagnostics], colours: Any, column: str, label: str, band: tuple[float, float]
) -> None:
    (axis,) = axes
    columns = [run.columns[column][np.isfinite(run.columns[column])] for run in runs]
    joined = np.concatenate(columns)
    low, high = float(np.quantile(joined, 0.001)), float(np.quantile(joined, 0.999))
    bins: Any = np.linspace(low, high, 41) if high > low else 11
    for number, (run, values) in enumerate(zip(runs, columns, strict=True)):
        colour = colours[number % len(colours)]
        axis.hist(np.clip(values, low, high), bins=bins, color=colour, alpha=0.5, label=run.name, density=True)
        axis.axvline(values.mean(), color=colour, linewidth=1.2)
    _finish(axis, label, "density", band, vertical=True)


def _scatter(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    (axis,) = axes
    for number, run in enumerate(runs):
        step = max(1, run.rows // MOST_POINTS)
        alpha, ratio = (run.columns[name][::step] for name in ("alpha_mean", "ess_ratio_mean"))
        axis.scatter(alpha, ratio, s=5, alpha=0.4, color=colours[number % len(colours)], label=run.name)
    axis.axvspan(0.2, 0.8, color="black", alpha=0.04)
    _finish(axis, "mean α of an answer", "mean ESS_θ/ESS_t", (0.9, 1.1), vertical=False)


def _evolution(axes: Any, runs: Sequence[Diagnostics], colours: Any) -> None:
    bands = {"alpha_mean": ("α", (0.2, 0.8)), "ess_ratio_mean": ("ESS_θ/ESS_t", (0.9, 1.1))}
    for axis, (column, (label, band)) in zip(axes, bands.items(), strict=True):
        for number, run in enumerate(runs):
            window = max(1, run.rows // 50)
            values = rolling_mean(run.columns[column], window)
            axis.plot(values, color=colours[number % len(colours)], linewidth=1.2, label=run.name)
        _finish(axis, "answer, in the order of the data", f"{label}, rolling mean", band, vertical=False)


def _finish(axis: Any, x: str, y: str, band: tuple[float, float], *, vertical: bool) -> None:
    (axis.axvspan if vertical else axis.axhspan)(*band, color="black", alpha=0.06)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, frameon=False)
