"""What a method that learns from pairs makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Comparisons
from qstar_pl.evaluation.metrics.metric import ComparisonMetric
from qstar_pl.evaluation.metrics.sums import total

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

    def sums(self, comparisons: Comparisons) -> Mapping[str, Tensor]:
        """See `ComparisonMetric.sums`."""
        sums: dict[str, Tensor] = {}
        for key in KEYS:
            if (values := comparisons.quantities.get(key)) is not None:
                sums |= total(key, values)
        return sums
