"""What is measured where no metrics are named."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.evaluation.metrics import (
    BLEU,
    AnswerMetric,
    ChrF,
    ExactMatch,
    ExecutionAccuracy,
    MathAccuracy,
    PassAtK,
    RewardGold,
    RewardProxy,
    Rouge,
    TokenF1,
)
from qstar_pl.evaluation.metrics.needs import Facts

OF_REWARDS: Sequence[AnswerMetric] = (RewardProxy(), RewardGold())
OF_PROGRAMS: Sequence[AnswerMetric] = (ExecutionAccuracy(), PassAtK())
KS = (1, 10, 100)
"""The k of pass@k that Chen et al. 2021 report."""
OF_ANSWERS: Sequence[AnswerMetric] = (MathAccuracy(),)
"""Of data that have a final answer, and no tests."""
OF_QUESTIONS: Sequence[AnswerMetric] = (ExactMatch(), TokenF1())
"""Of data that have several right answers to a prompt."""
OF_TRANSLATIONS: Sequence[AnswerMetric] = (BLEU(), ChrF())
OF_TEXTS: Sequence[AnswerMetric] = (Rouge(),)
"""Of data that have an answer to compare with, and nothing else."""
CANDIDATES = (*OF_REWARDS, *OF_PROGRAMS, *OF_ANSWERS, *OF_QUESTIONS, *OF_TRANSLATIONS, *OF_TEXTS)


def default_metrics(facts: Facts) -> list[AnswerMetric]:
    """Return what the data call for, and the rewards that are given; empty if the data have nothing to compare with.

    Args:
        facts: of the data; `samples` are those that every prompt has, None: at least one.

    """
    rewards = [metric for metric in OF_REWARDS if metric.missing(facts) is None]
    examples = facts.examples or ()
    if any(isinstance(example.metadata.get("answers"), list) for example in examples):
        return [*rewards, *OF_QUESTIONS]
    if any("target_language" in example.metadata for example in examples):
        return [*rewards, *OF_TRANSLATIONS]
    if ExecutionAccuracy().missing(facts) is None:
        return [*rewards, ExecutionAccuracy(), PassAtK(tuple(k for k in KS if k <= (facts.samples or 1)))]
    answers = [metric for metric in OF_ANSWERS if metric.missing(facts) is None]
    return [*rewards, *(answers or [metric for metric in OF_TEXTS if metric.missing(facts) is None])]
