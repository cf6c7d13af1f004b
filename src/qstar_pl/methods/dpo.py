"""Direct preference optimisation."""

from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.methods.policy_module import PolicyModule
from qstar_pl.qstar.losses import PreferenceLoss, Sigmoid
from qstar_pl.qstar.masking import masked_mean, masked_sum
from qstar_pl.types import PreferenceBatch, StepReport


class DPO(PolicyModule):
    """Learn from comparisons without sampling (Rafailov et al. 2023).

    The margin of a pair is m = log π_θ/π_init (chosen) − log π_θ/π_init (rejected); the loss is a decreasing function
    of β m. `loss/margin` is the mean of β m, `loss/accuracy` the share of pairs with m > 0.
    """

    batch_type = PreferenceBatch

    def __init__(self, loss: PreferenceLoss = Sigmoid(), beta: float = 0.1, **kwargs: Any) -> None:
        """Describe the method.

        Args:
            loss: Sigmoid (DPO), IPO or Hinge, each with `label_smoothing`.
            beta: strength of the tie to π_init, in units of reward per nat; must be positive.
            **kwargs: see `PolicyModule`.

        """
        super().__init__(**kwargs)
        if not beta > 0:
            raise UserError(f"beta must be positive, got {beta}")
        self.loss = loss
        self.beta = beta

    def training_step(self, batch: PreferenceBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the preference loss."""
        reduce = masked_mean if self.loss.per_token else masked_sum
        chosen = reduce(self.log_ratios(batch.prompts, batch.chosen_ids, batch.chosen_mask), batch.chosen_mask, dim=-1)
        rejected = reduce(
            self.log_ratios(batch.prompts, batch.rejected_ids, batch.rejected_mask), batch.rejected_mask, dim=-1
        )
        margins = chosen - rejected
        loss = self.loss(margins, self.beta).mean()
        report = StepReport(
            loss=loss,
            terms={"margin": self.beta * margins.mean(), "accuracy": ((margins.sign() + 1) / 2).mean()},
            samples=len(batch),
            tokens=int(batch.chosen_mask.sum() + batch.rejected_mask.sum()),
            histograms={"margin": margins},
        )
        return self.step_output(report, loss)
