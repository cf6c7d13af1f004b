"""What a method that learns from pairs makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Comparisons
from qstar_pl.evaluation.metrics.metric import ComparisonMetric
from qstar_pl.evaluation.metrics.scores import Scores

KEYS = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)


@dataclass(frozen=True)
class PairMeans(ComparisonMetric):
    """`rewards/*` and `logps/*`: means over pairs, of those that the method has; see `PairLogprobs.quantities`."""

    keys = frozenset(KEYS)

    def scores(self, comparisons: Comparisons) -> Mapping[str, Scores]:
        """See `ComparisonMetric.scores`."""
        had = {key: comparisons.quantities[key] for key in KEYS if key in comparisons.quantities}
        return {key: Scores.all(values, "prompt") for key, values in had.items()}
