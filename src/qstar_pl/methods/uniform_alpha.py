"""Reinforcement learning on samples of a geometric mixture with one exponent for all tokens."""

from typing import Any

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.q_star import policy_gradient_step
from qstar_pl.qstar import FixedAlpha
from qstar_pl.samplers import GeometricSampler, Sampler
from qstar_pl.types import PromptBatch


class UniformAlpha(RolloutModule):
    """The algorithm of `QStar` with the same α at every token, 0.5 by default; 1 is on-policy, 0 is `OffPolicy`.

    What differs is the default of `sampler`, GeometricSampler(FixedAlpha(0.5)). The default gradient is that of clipped
    weights of whole answers, see `QStar`; with α = 1 all weights are 1 and it is exact.
    """

    def __init__(self, sampler: Sampler = GeometricSampler(alpha=FixedAlpha(0.5)), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            sampler: q, the distribution that answers are drawn from.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(sampler=sampler, **kwargs)

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """See `QStar`."""
        return policy_gradient_step(self, batch)
