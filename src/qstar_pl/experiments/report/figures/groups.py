"""Which figures stand under which heading."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qstar_pl.experiments.report.figures.alpha import alphas
from qstar_pl.experiments.report.figures.ends import ends
from qstar_pl.experiments.report.figures.ess import effective_sizes
from qstar_pl.experiments.report.figures.learning import learning, learning_over_time
from qstar_pl.experiments.report.figures.map import the_map
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel
from qstar_pl.experiments.report.figures.pareto import pareto
from qstar_pl.experiments.report.figures.scaling import scaling
from qstar_pl.experiments.report.figures.seeds import seed_by_seed
from qstar_pl.experiments.report.figures.weights import gradients, weights
from qstar_pl.experiments.report.reading import Results

MAIN = ("map", "ends", "score_samples", "seeds", "scaling", "ess_ratio", "alpha", "gradient_noise", "time_pareto")
"""Figures that stand on a page on many experiments too."""
_PART = re.compile(r"_\d+$")
Panels = list[Panel | LeftOut]
MOST = 2
"""Panels that one kind of figure may take."""
ALWAYS = ("ends", "score_samples")
"""How the figures begin that are drawn of however many cells."""


def groups(results: Results) -> dict[str, Panels]:
    """Return heading → figures, of all that is the same when the experiment is run again."""
    where = list(the_map(results))
    return {
        **({"Conditions": where} if where else {}),
        "Learning": sparing([*ends(results), *learning(results), *seed_by_seed(results), *scaling(results)]),
        "Coverage of both models": sparing(effective_sizes(results)),
        "The mixture": sparing(alphas(results)),
        "Weights and gradients": sparing([*weights(results), *gradients(results)]),
    }


def time_figures(results: Results) -> Panels:
    """Return the figures of what differs from one run to the next."""
    return sparing([*learning_over_time(results), *pareto(results)])


def sparing(found: Iterable[Panel | LeftOut]) -> Panels:
    """Leave out what would take more than `MOST` panels, apart from the score: nobody compares cells over so many."""
    kept: Panels = []
    for one in found:
        if isinstance(one, LeftOut) or one.parts <= MOST or one.name.startswith(ALWAYS):
            kept.append(one)
        elif one.title.endswith(f"(1 of {one.parts})"):
            title = one.title.removesuffix(f" (1 of {one.parts})")
            kept.append(LeftOut(title, f"so many cells would take {one.parts} figures"))
    return kept


def is_main(panel: Panel) -> bool:
    """Return whether a figure stands on a page on many experiments too; `scaling` has a name for each axis."""
    name = _PART.sub("", panel.name)
    return name in MAIN or name.startswith("scaling_")
