"""How long the answers are, and whether they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.sums import total


@dataclass(frozen=True)
class CompletionLength(AnswerMetric):
    """`completion_length`: mean tokens of an answer, EOS included."""

    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """See `AnswerMetric.sums`."""
        return total("completion_length", answers.rollout.completion_mask.sum(-1))


@dataclass(frozen=True)
class EndedFraction(AnswerMetric):
    """`ended_fraction`: share of the answers that ended with EOS; the others were cut at max_new_tokens."""

    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """See `AnswerMetric.sums`."""
        return total("ended_fraction", answers.rollout.ended_mask)
