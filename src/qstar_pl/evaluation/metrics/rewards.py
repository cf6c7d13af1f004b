"""What the answers are worth to the method's judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class RewardProxy(AnswerMetric):
    """`reward_proxy`: mean over answers of the reward that RL maximizes."""

    keys = frozenset({"reward_proxy"})

    optional = True

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REWARD})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return _judged(answers, "proxy")


@dataclass(frozen=True)
class RewardGold(AnswerMetric):
    """`reward_gold`: mean over answers of the true reward, which falls where the proxy is over-optimized."""

    keys = frozenset({"reward_gold"})

    optional = True

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.GOLD})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return _judged(answers, "gold")


def _judged(answers: Answers, judge: str) -> Mapping[str, Scores]:
    rewards = answers.rewards.get(judge)
    return {} if rewards is None else {f"reward_{judge}": Scores.all(rewards)}
