"""Which α was chosen: over training, and how it is spread over tokens."""

from __future__ import annotations

from collections.abc import Iterator

from qstar_pl.experiments.report.figures.distributions import Bins, histogram
from qstar_pl.experiments.report.figures.lines import Lines, lines
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel
from qstar_pl.experiments.report.reading import Results


def alphas(results: Results) -> Iterator[Panel | LeftOut]:
    """Return α over samples, mean ± standard deviation over tokens, and its histogram at the end."""
    what = Lines("alpha", "α over training", "alpha/mean", "α per token", spread="alpha/std")
    yield from lines(results, what)
    yield from histogram(
        results, Bins("alpha_histogram", "α of single tokens", "alpha", "α", "share of tokens per 0.01", 0.01)
    )
