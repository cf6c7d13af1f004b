"""The importance weights of whole answers: their distribution, and what they leave of the sample."""

from __future__ import annotations

from collections.abc import Iterator

from qstar_pl.experiments.report.figures.distributions import Bins, histogram
from qstar_pl.experiments.report.figures.lines import Lines, lines
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel
from qstar_pl.experiments.report.reading import Results


def weights(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the histogram of log-weights at the end, and the share of the sample that is left over training."""
    yield from histogram(
        results,
        Bins(
            "weights_histogram",
            "Weights of answers",
            "log_weights",
            "log(π_θ / q) of an answer, nats",
            "share of answers per nat",
            1.0,
        ),
    )
    what = Lines("weights_ess", "Share of the sample that is left", "weights/ess_fraction", "(Σw)² / (N Σw²)")
    yield from lines(results, what)


def gradients(results: Results) -> Iterator[Panel | LeftOut]:
    """Return the gradient's variance and its ratio to the signal over training."""
    variance = ("gradient_variance", "Gradient variance", "grad/variance", "tr Cov of one micro-step's gradient")
    yield from lines(results, Lines(*variance, scale="log"))
    noise = ("gradient_noise", "Noise to signal", "grad/noise_scale", "grad/noise_scale, answers")
    yield from lines(results, Lines(*noise, scale="log"))
