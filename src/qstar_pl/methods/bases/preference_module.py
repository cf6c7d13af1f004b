"""A method that learns from comparisons without sampling."""

from typing import Any

from torch import Tensor

from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.qstar.losses import PreferenceLoss, Sigmoid
from qstar_pl.qstar.masking import masked_mean, masked_sum
from qstar_pl.types import LossReport, PreferenceBatch, StepReport


class PreferenceModule(PolicyModule):
    """Margins m = log π_θ/π_init (preferred answer) − log π_θ/π_init (the other), and what is reported of them."""

    batch_type = PreferenceBatch

    def __init__(self, loss: PreferenceLoss = Sigmoid(), **kwargs: Any) -> None:
        """Describe the loss.

        Args:
            loss: Sigmoid (DPO), IPO or Hinge, each with `label_smoothing`.
            **kwargs: see `PolicyModule`.

        """
        super().__init__(**kwargs)
        self.loss = loss

    def margins(self, batch: PreferenceBatch) -> Tensor:
        """Return m [pairs] in nats: of whole answers, or per token where the loss says so."""
        reduce = masked_mean if self.loss.per_token else masked_sum
        chosen = self.log_ratios(batch.prompts, batch.chosen_ids, batch.chosen_mask)
        rejected = self.log_ratios(batch.prompts, batch.rejected_ids, batch.rejected_mask)
        return reduce(chosen, batch.chosen_mask, dim=-1) - reduce(rejected, batch.rejected_mask, dim=-1)

    def preference_report(
        self, batch: PreferenceBatch, loss: LossReport, margins: Tensor, beta: Tensor | float
    ) -> StepReport:
        """Collect what the diagnostics read; `margins` and `beta` as they entered the loss."""
        accuracy = ((margins.sign() + 1) / 2).mean()  # a tie counts one half
        return StepReport(
            loss=loss.loss,
            terms={"margin": (beta * margins).mean(), "accuracy": accuracy, **loss.terms},
            samples=len(batch),
            tokens=int(batch.chosen_mask.sum() + batch.rejected_mask.sum()),
            histograms={"margin": margins},
        )
