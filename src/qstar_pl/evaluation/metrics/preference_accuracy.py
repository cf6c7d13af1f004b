"""Whether a model ranks answers as the data does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Comparisons
from qstar_pl.evaluation.metrics.metric import ComparisonMetric
from qstar_pl.evaluation.metrics.sums import total


@dataclass(frozen=True)
class PreferenceAccuracy(ComparisonMetric):
    """`preference_accuracy`: share of the pairs with a positive margin; a tie counts one half."""

    def sums(self, comparisons: Comparisons) -> Mapping[str, Tensor]:
        """See `ComparisonMetric.sums`."""
        return total("preference_accuracy", (comparisons.margins.sign() + 1) / 2)
