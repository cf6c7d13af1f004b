"""How well the policy predicts the data's own answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Demonstrations
from qstar_pl.evaluation.metrics.metric import DemonstrationMetric
from qstar_pl.evaluation.metrics.scores import Scores, wide
from qstar_pl.evaluation.metrics.sums import Sums


@dataclass(frozen=True)
class Perplexity(DemonstrationMetric):
    """`perplexity`: exp of the mean nats per token, over the tokens of all demonstrations, EOS included."""

    keys = frozenset({"perplexity"})

    def scores(self, demonstrations: Demonstrations) -> Mapping[str, Scores]:
        """See `DemonstrationMetric.scores`."""
        logprobs = wide(demonstrations.logprobs)
        mask = demonstrations.batch.completion_mask.to(logprobs.device)
        nats = -logprobs.where(mask, 0.0).sum(-1)
        return {"perplexity": Scores(torch.stack([nats, mask.sum(-1)], -1), mask.any(-1), "prompt")}

    def compute(self, sums: Sums) -> Mapping[str, Tensor | float]:
        """See `Metric.compute`."""
        nats, tokens = sums["perplexity"]  # over all rows: a mean of their perplexities would be another number
        return {"perplexity": (nats / tokens).exp()}
