"""How far the policy has moved from where it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class KLPolicyReference(AnswerMetric):
    """`kl_policy_reference`: mean over answers of Σ_t D(π_θ‖π_init), exact over the vocabulary, nats per answer."""

    keys = frozenset({"kl_policy_reference"})

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS, Need.REFERENCE_MODEL})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {"kl_policy_reference": Scores.all(answers.divergences.sum(-1))}
