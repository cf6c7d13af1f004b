"""Supervised fine-tuning on answers of the target."""

from typing import Any

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.rejection_sampling import imitation_step
from qstar_pl.methods.strategies.keep import KeepAll
from qstar_pl.qstar.advantages import RawReward
from qstar_pl.qstar.kl_estimators import K1
from qstar_pl.qstar.kl_placement import InReward
from qstar_pl.qstar.mismatch import OneFactor
from qstar_pl.qstar.weights import Unweighted
from qstar_pl.samplers import Sampler, TargetSampler
from qstar_pl.types import PromptBatch


class SFTOnSamples(RolloutModule):
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
        super().__init__(
            sampler=sampler,
            weights=Unweighted(),
            advantage=RawReward(),
            kl_coefficient=0.0,
            kl_estimator=K1(),
            kl_placement=InReward(),
            missing_eos_penalty=0.0,
            mismatch_correction=OneFactor(),
            **kwargs,
        )

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """See `RejectionSampling`."""
        return imitation_step(self, KeepAll(), batch)
