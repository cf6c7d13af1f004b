"""Reinforcement learning on samples of a geometric mixture whose exponent follows two entropies."""

from typing import Any

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.q_star import policy_gradient_step
from qstar_pl.qstar import EntropyAlpha
from qstar_pl.samplers import GeometricSampler, Sampler
from qstar_pl.types import PromptBatch


class EntropyAlphaRL(RolloutModule):
    """The algorithm of `QStar` with α = H(π_θ)/(H(π_θ) + H(π_t)) at every token.

    What differs is the default of `sampler`, GeometricSampler(EntropyAlpha()). The default gradient is that of clipped
    weights of whole answers, see `QStar`.
    """

    def __init__(self, sampler: Sampler = GeometricSampler(alpha=EntropyAlpha()), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            sampler: q, the distribution that answers are drawn from.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(sampler=sampler, **kwargs)

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """See `QStar`."""
        return policy_gradient_step(self, batch)
