"""Reinforcement learning on samples of the target."""

from typing import Any

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.q_star import policy_gradient_step
from qstar_pl.samplers import Sampler, TargetSampler
from qstar_pl.types import PromptBatch


class OffPolicy(RolloutModule):
    """The algorithm of `QStar` on answers drawn from π_t alone: α = 0.

    What differs is the default of `sampler`, TargetSampler, and so the weights, which are π_θ/π_t. The default gradient
    clips them to [0.1, 10] per whole answer, as `QStar` does, and here most answers are clipped: on the enumerated
    pair of `qstar_pl.qstar.weights` 91% of them were raised to the floor, and the expected gradient pointed away from
    the true one (share -0.32). Watch `weights/floor_fraction`; RawWeights are exact, and noisier than under any
    mixture.
    """

    def __init__(self, sampler: Sampler = TargetSampler(), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            sampler: q, the distribution that answers are drawn from.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(sampler=sampler, **kwargs)

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """See `QStar`."""
        return policy_gradient_step(self, batch)
