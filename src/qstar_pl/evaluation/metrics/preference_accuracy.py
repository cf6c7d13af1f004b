"""Whether a model ranks answers as the data does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Comparisons
from qstar_pl.evaluation.metrics.metric import ComparisonMetric
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class PreferenceAccuracy(ComparisonMetric):
    """`preference_accuracy`: share of the pairs with a positive margin; a tie counts one half."""

    keys = frozenset({"preference_accuracy"})

    def scores(self, comparisons: Comparisons) -> Mapping[str, Scores]:
        """See `ComparisonMetric.scores`."""
        return {"preference_accuracy": Scores.all((comparisons.margins.sign() + 1) / 2, "prompt")}
