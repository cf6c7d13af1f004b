"""What was learned, against everything that it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any

from qstar_pl.experiments.report.figures.lines import Lines, lines
from qstar_pl.experiments.report.figures.panel import Label, LeftOut, Panel, axes, label_ends
from qstar_pl.experiments.report.figures.words import handfuls, measure, numbered, of, styles
from qstar_pl.experiments.report.reading import Results
from qstar_pl.figures import LineStyle

KL = "val/kl_policy_reference"


def learning(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the score over samples and tokens, the other metrics over samples, and the score that divergence buys."""
    score = measure(results.score)
    yield from lines(results, Lines("score_samples", "Score over samples", results.score, score))
    yield from lines(
        results, Lines("score_generated", "Score over generated tokens", results.score, score, "generated")
    )
    yield from lines(results, Lines("score_tokens", "Score over trained tokens", results.score, score, "tokens"))
    for key in results.metrics:
        stem = key.removeprefix("val/").replace("/", "_")
        yield from lines(results, Lines(f"{stem}_samples", f"{_short(key)} over samples", key, measure(key)))
    yield from bought(results)


def learning_over_time(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the score over seconds, which differ from one run to the next."""
    what = Lines("time_score", "Score over time", results.score, measure(results.score), "seconds")
    yield from lines(results, what)


def _short(key: str) -> str:
    return measure(key).partition(",")[0].removeprefix("held-out ").removesuffix(" per answer").capitalize()


def bought(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the panels of score against divergence, a mark per seed."""
    title = "Score that divergence bought"
    divergence = results.key_of(KL, results.scored_part)
    found: dict[str, list[tuple[float, float]]] = {}
    for cell in results.cells:
        pairs = [
            (run.after.get(divergence, math.nan), run.after.get(results.score, math.nan))
            for run in results.finished(cell)
        ]
        if kept := [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]:
            found[cell] = kept
    if not found:
        yield LeftOut(title, f"no finished run measures both {results.score} and {divergence}")
        return
    groups = handfuls(list(found))
    for number, cells in enumerate(groups):
        these = {cell: found[cell] for cell in cells}
        means = "; ".join(
            f"{cell} {fmean(y for _, y in one):.3f} at {fmean(x for x, _ in one):.2f} nats"
            for cell, one in these.items()
        )
        yield Panel(
            numbered("score_kl", number),
            title + of(number, len(groups)),
            "After training, a mark per seed; the line leads to the name at the height of the mean.",
            f"{measure(results.score)} against divergence from the start: {means}.",
            _marks(results, these, styles(results)),
            2.6 + 0.1 * max(len(cells), 4),
            parts=len(groups),
        )


def _marks(
    results: Results, found: Mapping[str, list[tuple[float, float]]], looks: Mapping[str, LineStyle]
) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axis = axes(figure, measure(KL), measure(results.score))
        for cell, points in found.items():
            look = looks[cell]
            axis.plot(*zip(*points, strict=True), linestyle="", marker=look.marker, color=look.color, markersize=5)
        label_ends(axis, [Label(cell, fmean(y for _, y in one), looks[cell]) for cell, one in found.items()])

    return draw
