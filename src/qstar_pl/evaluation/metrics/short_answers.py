"""Exact match and token F1: short answers to questions, compared as SQuAD compares them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.by_reference import by_reference, columns
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class ExactMatch(AnswerMetric):
    """`exact_match`: share of the answers that are, as a whole and normalized as SQuAD does, one of the references."""

    bounds = (0.0, 1.0)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return columns(by_reference(answers, lambda text, right: [exact_match(text, right)]), ["exact_match"])


@dataclass(frozen=True)
class TokenF1(AnswerMetric):
    """`token_f1`: mean F-measure in [0, 1] of the words that an answer shares with its best reference, as in SQuAD."""

    bounds = (0.0, 1.0)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return columns(by_reference(answers, lambda text, right: [token_f1(text, right)]), ["token_f1"])


def normalized(text: str) -> str:
    """Return a text in lower case, without ASCII punctuation, articles and superfluous white space, in this order.

    The normalization of SQuAD's official evaluation (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250), which
    NQ-open and TriviaQA use too.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 if the answer is one of the references [at least one], normalized, else 0."""
    own = normalized(answer)
    return float(any(own == normalized(reference) for reference in references))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Return the F-measure of the words that the answer shares with a reference, the best one over the references.

    Where a side has no word, it is 1 if neither has one, else 0.
    """
    own = normalized(answer).split()
    return max(_f1(own, normalized(reference).split()) for reference in references)


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = (Counter(answer) & Counter(reference)).total()
    precision, recall = shared / len(answer), shared / len(reference)
    return 2 * precision * recall / (precision + recall) if shared else 0.0
