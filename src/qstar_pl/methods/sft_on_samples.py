"""Supervised fine-tuning on answers of the target."""

from typing import Any

from qstar_pl.methods.rejection_sampling import RejectionSampling
from qstar_pl.methods.strategies.keep import KeepAll
from qstar_pl.samplers import Sampler, TargetSampler


class SFTOnSamples(RejectionSampling):
    """Maximum likelihood on answers drawn from π_t, all of them, with the weights π_θ/π_t ignored.

    The algorithm of `RejectionSampling` without rejection; what differs is who answers. Its minimum is π_t itself
    (distillation, D(π_t‖π_θ)). `SFT` learns from answers in the data instead.
    """

    def __init__(self, sampler: Sampler = TargetSampler(), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            sampler: q, the distribution that answers are drawn from.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(keep=KeepAll(), sampler=sampler, **kwargs)
