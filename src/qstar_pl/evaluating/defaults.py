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
    RewardGold,
    RewardProxy,
    Rouge,
    TokenF1,
)
from qstar_pl.evaluation.metrics.needs import Facts

OF_REWARDS: Sequence[AnswerMetric] = (RewardProxy(), RewardGold())
OF_TASKS: Sequence[AnswerMetric] = (ExecutionAccuracy(), MathAccuracy())
"""The first whose needs the data meet says it all."""
OF_QUESTIONS: Sequence[AnswerMetric] = (ExactMatch(), TokenF1())
"""Of data that have several right answers to a prompt."""
OF_TRANSLATIONS: Sequence[AnswerMetric] = (BLEU(), ChrF())
OF_TEXTS: Sequence[AnswerMetric] = (Rouge(),)
"""Of data that have an answer to compare with, and nothing else."""
CANDIDATES = (*OF_REWARDS, *OF_TASKS, *OF_QUESTIONS, *OF_TRANSLATIONS, *OF_TEXTS)


def default_metrics(facts: Facts) -> list[AnswerMetric]:
    """Return what the data call for, and the rewards that are given; empty if the data have nothing to compare with."""
    rewards = [metric for metric in OF_REWARDS if metric.missing(facts) is None]
    examples = facts.examples or ()
    if any(isinstance(example.metadata.get("answers"), list) for example in examples):
        return [*rewards, *OF_QUESTIONS]
    if any("target_language" in example.metadata for example in examples):
        return [*rewards, *OF_TRANSLATIONS]
    tasks = [metric for metric in OF_TASKS if metric.missing(facts) is None]
    return [*rewards, *(tasks[:1] or [metric for metric in OF_TEXTS if metric.missing(facts) is None])]
