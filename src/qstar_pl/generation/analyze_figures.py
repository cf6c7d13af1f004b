"""The analysis as figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qstar_pl.figures import drawn, legend_below, line_style, note, plain, ratio_axis, shade, title
from qstar_pl.generation.analyze_reading import Column, Diagnostics
from qstar_pl.generation.analyze_statistics import CHECKS, ess_ratio
from qstar_pl.generation.analyze_view import View, drawable, share

MOST_POINTS = 5000
"""Most points per run in a scatter plot or along a line; of more rows, evenly spaced ones are drawn."""
CHECK_OF = {check.column: check for check in CHECKS}
"""Column of the answers' values → the check by which they are judged, and whose band is shaded."""
ALPHA_BAND, RATIO_BAND = ((CHECK_OF[name].low, CHECK_OF[name].high) for name in ("alpha_mean", "ess_ratio"))
RATIO_LABEL = "ESS_θ / ESS_t"
LEAST_KL = 1e-6
"""Smaller divergences, in nats, are drawn at this value."""
SOLID: dict[str, Any] = {"linestyle": "-"}
HOLLOW: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "markerfacecolor": "white"}
ROLLING = 20
"""Rolling means are taken over a 20th of a run's answers, but over 20 of them if there are so many."""


@dataclass(frozen=True)
class Drawing:
    """What a file shows, and for which runs."""

    draw: Callable[[Any, Sequence[Diagnostics]], None]
    """Called with (axes, runs)."""
    columns: tuple[str, ...]
    """A run must have values in all of them to be shown."""
    heading: str
    panels: int = 1
    height: float = 4.0
    """Inches."""


@dataclass(frozen=True)
class Figures:
    """What was drawn."""

    names: tuple[str, ...]
    """Of the files, in the folder."""
    left_out: tuple[str, ...]
    """A line for each run that is missing in figures."""


def save_figures(runs: Sequence[Diagnostics], folder: Path, suffix: str = ".png") -> Figures:
    """Draw distributions of α and of the ESS ratio, both KLs, α against ESS ratio, and all of them along the rows.

    Every ratio is on a logarithmic axis, where r and 1/r are equally far from 1; the bands by which values are judged
    are shaded, and answers that an axis does not show are counted above it. Runs without π_t have nothing to show; a
    figure that would be empty is left out.

    Args:
        runs: what is drawn, each in its own color, dashes and marker.
        folder: where the files go.
        suffix: one of `figures.FORMATS`.

    """
    names: list[str] = []
    left_out: dict[str, list[str]] = {}
    for name, drawing in DRAWINGS.items():
        shown = [run for run in runs if all(np.isfinite(run.columns[column]).any() for column in drawing.columns)]
        for run in runs:
            if run not in shown:
                left_out.setdefault(run.name, []).append(f"{name}{suffix}")
        if not shown:
            continue
        with drawn(folder / f"{name}{suffix}", drawing.height + 0.2 * len(shown)) as figure:
            axes = figure.subplots(drawing.panels, 1, squeeze=False, sharex=drawing.panels > 1)[:, 0]
            drawing.draw(axes, shown)
            title(figure, drawing.heading)
            legend_below(figure)
        names.append(f"{name}{suffix}")
    lines = [f"{run} has no values for {', '.join(files)}" for run, files in left_out.items()]
    return Figures(tuple(names), tuple(lines))


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


def _alphas(axes: Any, runs: Sequence[Diagnostics]) -> None:
    means = [float(column[np.isfinite(column)].mean()) for column in (run.columns["alpha_mean"] for run in runs)]
    labels = [f"mean {mean:.3f}" for mean in means]
    _distribution(axes[0], runs, "alpha_mean", "mean α of an answer", means, labels, log=False)


def _ratios(axes: Any, runs: Sequence[Diagnostics]) -> None:
    wholes = [ess_ratio(run).value for run in runs]
    labels = ["undefined over the run" if whole is None else f"{whole:.3f} over the run" for whole in wholes]
    _distribution(axes[0], runs, "ess_ratio", f"{RATIO_LABEL} of an answer (log axis)", wholes, labels, log=True)


def _distribution(
    axis: Any,
    runs: Sequence[Diagnostics],
    column: str,
    name: str,
    lines: Sequence[float | None],
    labels: Sequence[str],
    *,
    log: bool,
) -> None:
    """Draw a histogram per run and a line at the number of the whole run; of a fixed α, the line alone."""
    check = CHECK_OF[column]
    columns = [run.columns[column] for run in runs]
    view = View.of(columns, shown=_around(check.low, check.high, log=log), log=log)
    bins = view.bins(60)
    # The one bin of a fixed α would be so high that those of the others cannot be seen: its line says all.
    spread = [np.ptp(values[np.isfinite(values)]) > bins[1] - bins[0] for values in columns]
    for number, (run, values, line, label) in enumerate(zip(runs, columns, lines, labels, strict=True)):
        style, count = line_style(number), int((~np.isnan(values)).sum())
        heights = np.histogram(values[view.holds(values)], bins)[0] * (100 / count)
        inside = share(check.met_mask(values[~np.isnan(values)]))
        look: dict[str, Any] = {"color": style.color, "linestyle": style.dashes}
        if spread[number] or not any(spread):
            axis.stairs(heights, bins, fill=True, color=style.color, alpha=0.35 if len(runs) == 1 else 0.12)
            axis.stairs(heights, bins, linewidth=1.2, **look)
        if line is not None and view.low <= line <= view.high:
            axis.axvline(line, **look)
        axis.plot([], [], label=f"{plain(run.name)}: {label}; {inside} of {_answers(count)} in the band", **look)
    _judged(axis, column, "x")
    axis.set(xlim=(view.low, view.high), ylim=(0, None), xlabel=name, ylabel="share of answers in a bin, %")
    if log:
        ratio_axis(axis.xaxis)
    _count(axis, runs, [view.missed(values) for values in columns])


def _divergences(axes: Any, runs: Sequence[Diagnostics]) -> None:
    (axis,) = axes
    names = ("kl_theta_mean", "kl_t_mean")
    pairs = [[run.columns[name] for name in names] for run in runs]
    finite = [column[np.isfinite(column)] for pair in pairs for column in pair]
    largest = max(float(column.max()) for column in finite)
    low, high = LEAST_KL, max(largest, 10 * LEAST_KL) * 1.5
    smallest = max(min(float(column.min()) for column in finite), LEAST_KL)
    low = min(smallest / 1.5, high / 100) if smallest > LEAST_KL else LEAST_KL / 1.5
    line = np.geomspace(low, high, 200)
    limit = CHECK_OF["kl_difference"].high
    axis.fill_between(
        line, np.maximum(line - limit, low), np.minimum(line + limit, high), color="black", alpha=0.08, linewidth=0,
        label=f"shaded: they differ by less than {limit:g} nats",
    )  # fmt: skip
    axis.plot(line, line, color="black", linewidth=0.9, label="KL symmetry: both are equal")
    said = []
    for number, (run, pair) in enumerate(zip(runs, pairs, strict=True)):
        kept = np.isfinite(pair[0]) & np.isfinite(pair[1])
        inside = share(CHECK_OF["kl_difference"].met_mask(run.columns["kl_difference"][kept]))
        floored = int((np.minimum(*pair)[kept] < LEAST_KL).sum())
        parts = [f"{int((~kept).sum()):,} undefined or infinite" if not kept.all() else ""]
        parts += [f"{floored:,} below {LEAST_KL:g} nats, drawn there" if floored else "", _every(run)]
        said.append(", ".join(part for part in parts if part))
        points = [np.maximum(_thinned(run, column), LEAST_KL) for column in pair]
        _points(axis, number, points, f"{plain(run.name)}: {inside} of {_answers(int(kept.sum()))}")
    axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    axis.set(xlabel="D(q‖π_θ) of an answer, nats/token (log axis)", ylabel="D(q‖π_t), nats/token (log axis)")
    _count(axis, runs, said)


def _alpha_and_ratio(axes: Any, runs: Sequence[Diagnostics]) -> None:
    (axis,) = axes
    alphas, ratios = ([run.columns[name] for run in runs] for name in ("alpha_mean", "ess_ratio"))
    x = View.of(alphas, shown=_around(*ALPHA_BAND, log=False))
    y = View.of(ratios, shown=_around(*RATIO_BAND, log=True), log=True)
    said = []
    for number, (run, alpha, ratio) in enumerate(zip(runs, alphas, ratios, strict=True)):
        kept = drawable(alpha, log=False) & drawable(ratio, log=True)
        met = CHECK_OF["alpha_mean"].met_mask(alpha) & CHECK_OF["ess_ratio"].met_mask(ratio)
        label = f"{plain(run.name)}: {share(met[kept])} of {_answers(int(kept.sum()))} in both bands"
        _points(axis, number, [_thinned(run, alpha), _thinned(run, ratio)], label)
        lost = int((~(x.holds(alpha) & y.holds(ratio))).sum())
        said.append(", ".join(part for part in (f"{lost:,} not on the axes" if lost else "", _every(run)) if part))
    ratio_axis(axis.yaxis)
    axis.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
    axis.set(xlabel="mean α of an answer", ylabel=f"{RATIO_LABEL} of an answer (log axis)")
    _judged(axis, "alpha_mean", "x")
    _judged(axis, "ess_ratio", "y", hatch="////")
    _count(axis, runs, said)


def _evolution(axes: Any, runs: Sequence[Diagnostics]) -> None:
    axes[2].set_ymargin(0.1)
    for number, run in enumerate(runs):
        window = max(run.rows // ROLLING, min(ROLLING, run.rows // 4), 1)
        # From the first mean over a whole window on: those before it, of fewer answers, would swing more.
        shown = slice(window - 1, None, _step(run))
        places = np.arange(1, run.rows + 1)[shown]
        look = line_style(number).line(len(places))
        label = f"{plain(run.name)}: {_answers(window)} in a mean"
        axes[0].plot(places, rolling_mean(run.columns["alpha_mean"], window)[shown], label=label, **look)
        axes[1].plot(places, rolling_ratio(run, window)[shown], **look)
        for column, kind in (("kl_theta_mean", SOLID), ("kl_t_mean", HOLLOW)):
            values = rolling_mean(run.columns[column], window)[shown]
            axes[2].plot(places, values, **(look | kind))
    ratio_axis(axes[1].yaxis)
    for axis, column in zip(axes, ("alpha_mean", "ess_ratio"), strict=False):
        _judged(axis, column, "y")
    axes[0].set_ylabel("α")
    axes[1].set_ylabel(f"{RATIO_LABEL}\n(log axis)")
    axes[2].set(ylabel="nats/token", xlabel="answer, in the order of the data")
    axes[2].set_ylim(0, axes[2].get_ylim()[1])
    axes[2].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    note(axes[2], "solid: D(q‖π_θ); dotted and hollow: D(q‖π_t)")


DRAWINGS = {
    "alpha": Drawing(_alphas, ("alpha_mean",), "α of each answer: where q stands between π_t (0) and π_θ (1)"),
    "ess_ratio": Drawing(_ratios, ("ess_ratio",), "ESS ratio of each answer: 1 where q serves π_θ and π_t alike"),
    "kl": Drawing(
        _divergences, ("kl_theta_mean", "kl_t_mean"), "Divergence of q from π_θ and from π_t, each answer a point",
        height=6.4,
    ),
    "alpha_ess": Drawing(
        _alpha_and_ratio, ("alpha_mean", "ess_ratio"), "α and ESS ratio, each answer a point", height=4.6
    ),
    "evolution": Drawing(_evolution, ("alpha_mean",), "Along the data, rolling means", panels=3, height=7.0),
}  # fmt: skip


def _around(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Return ends a little outside of a band, so that it is seen to end."""
    if log:
        return low / (high / low) ** 0.25, high * (high / low) ** 0.25
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _judged(axis: Any, column: str, along: str, hatch: str | None = None) -> None:
    check = CHECK_OF[column]
    name = "α" if column == "alpha_mean" else "ESS ratio"
    kind = "shaded" if hatch is None else "hatched"
    label = f"{kind}: {name} in [{check.low:g}, {check.high:g}]"
    shade(axis, check.low, check.high, along=along, label=label, hatch=hatch)


def _answers(count: int) -> str:
    return f"{count:,} answer{'' if count == 1 else 's'}"


def _points(axis: Any, number: int, points: Sequence[Column], label: str) -> None:
    style = line_style(number)
    pale = 0.6 if len(points[0]) < 500 else 0.25
    axis.scatter(
        *points, s=12, alpha=pale, color=style.color, marker=style.marker, linewidths=0, label=label, rasterized=True
    )


def _count(axis: Any, runs: Sequence[Diagnostics], said: Sequence[str]) -> None:
    """Note above an axis which answers it does not show."""
    if len(runs) == 1:
        note(axis, f"of the answers: {said[0]}" if said[0] else "")
    else:
        note(axis, *(f"{plain(run.name)}: {words}" for run, words in zip(runs, said, strict=True) if words))


def _step(run: Diagnostics) -> int:
    return max(1, -(-run.rows // MOST_POINTS))  # ⌈rows / MOST_POINTS⌉


def _every(run: Diagnostics) -> str:
    step = _step(run)
    return f"one in {step} is drawn" if step > 1 else ""


def _thinned(run: Diagnostics, values: Column) -> Column:
    return values[:: _step(run)]
