"""Reinforcement learning on samples of the target."""

from typing import Any

from qstar_pl.methods.q_star import QStar
from qstar_pl.samplers import Sampler, TargetSampler


class OffPolicy(QStar):
    """The algorithm of `QStar` on answers drawn from π_t alone: α = 0.

    What differs is the default of `sampler`, TargetSampler, and so the weights, which are π_θ/π_t.
    """

    def __init__(self, sampler: Sampler = TargetSampler(), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            sampler: q, the distribution that answers are drawn from.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(sampler=sampler, **kwargs)
