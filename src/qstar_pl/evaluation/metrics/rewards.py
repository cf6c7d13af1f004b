"""What the answers are worth to the method's judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.sums import total


@dataclass(frozen=True)
class RewardProxy(AnswerMetric):
    """`reward_proxy`: mean over answers of the reward that RL maximizes."""

    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """See `AnswerMetric.sums`."""
        return _judged(answers, "proxy")


@dataclass(frozen=True)
class RewardGold(AnswerMetric):
    """`reward_gold`: mean over answers of the true reward, which falls where the proxy is over-optimized."""

    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """See `AnswerMetric.sums`."""
        return _judged(answers, "gold")


def _judged(answers: Answers, judge: str) -> Mapping[str, Tensor]:
    rewards = answers.rewards.get(judge)
    return {} if rewards is None else total(f"reward_{judge}", rewards)
