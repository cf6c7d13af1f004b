"""Which figures stand under which heading."""

from __future__ import annotations

from collections.abc import Iterator

from qstar_pl.experiments.report.figures.alpha import alphas
from qstar_pl.experiments.report.figures.ess import effective_sizes
from qstar_pl.experiments.report.figures.learning import learning, learning_over_time
from qstar_pl.experiments.report.figures.map import the_map
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel
from qstar_pl.experiments.report.figures.pareto import pareto
from qstar_pl.experiments.report.figures.scaling import scaling
from qstar_pl.experiments.report.figures.seeds import seed_by_seed
from qstar_pl.experiments.report.figures.weights import gradients, weights
from qstar_pl.experiments.report.reading import Results

Panels = list[Panel | LeftOut]


def groups(results: Results) -> dict[str, Panels]:
    """Return heading → figures, of all that is the same when the experiment is run again."""
    where = list(the_map(results))
    return {
        **({"Conditions": where} if where else {}),
        "Learning": [*learning(results), *seed_by_seed(results), *scaling(results)],
        "Coverage of both models": list(effective_sizes(results)),
        "The mixture": list(alphas(results)),
        "Weights and gradients": [*weights(results), *gradients(results)],
    }


def time_figures(results: Results) -> Panels:
    """Return the figures of what differs from one run to the next."""
    return [*learning_over_time(results), *pareto(results)]


def every(results: Results) -> Iterator[Panel | LeftOut]:
    """Return all of them in the order of the page."""
    for found in groups(results).values():
        yield from found
    yield from time_figures(results)
