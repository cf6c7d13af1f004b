"""How far the policy has moved from where it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.sums import total


@dataclass(frozen=True)
class KLPolicyReference(AnswerMetric):
    """`kl_policy_reference`: mean over answers of Σ_t D(π_θ‖π_init), exact over the vocabulary, nats per answer."""

    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """See `AnswerMetric.sums`."""
        return total("kl_policy_reference", answers.divergences.sum(-1))
