"""How well the policy predicts the data's own answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Demonstrations
from qstar_pl.evaluation.metrics.metric import DemonstrationMetric
from qstar_pl.evaluation.metrics.sums import Sums, means, total


@dataclass(frozen=True)
class Perplexity(DemonstrationMetric):
    """`perplexity`: exp of the mean nats per token, over the tokens of all demonstrations, EOS included."""

    def sums(self, demonstrations: Demonstrations) -> Mapping[str, Tensor]:
        """See `DemonstrationMetric.sums`."""
        return total("nats_per_token", -demonstrations.logprobs[demonstrations.batch.completion_mask])

    def compute(self, sums: Sums) -> Mapping[str, Tensor | float]:
        """See `Metric.compute`."""
        nats = means(sums).get("nats_per_token")  # over all batches and ranks: a mean of perplexities would be another
        return {} if nats is None else {"perplexity": nats.exp()}
