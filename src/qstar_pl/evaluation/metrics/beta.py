"""The β that a method has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Comparisons
from qstar_pl.evaluation.metrics.metric import ComparisonMetric
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class Beta(ComparisonMetric):
    """`beta`: mean over comparisons of the β of their prompts; absent where a method learns none."""

    keys = frozenset({"beta"})

    def scores(self, comparisons: Comparisons) -> Mapping[str, Scores]:
        """See `ComparisonMetric.scores`."""
        betas = comparisons.quantities.get("beta")
        return {} if betas is None else {"beta": Scores.all(betas, "prompt")}
