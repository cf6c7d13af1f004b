"""How long the answers are, and whether they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class CompletionLength(AnswerMetric):
    """`completion_length`: mean tokens of an answer, EOS included."""

    keys = frozenset({"completion_length"})

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {"completion_length": Scores.all(answers.rollout.completion_mask.sum(-1))}


@dataclass(frozen=True)
class EndedFraction(AnswerMetric):
    """`ended_fraction`: share of the answers that ended with EOS; the others were cut at max_new_tokens."""

    keys = frozenset({"ended_fraction"})

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {"ended_fraction": Scores.all(answers.rollout.ended_mask)}
