"""Direct preference optimization."""

from typing import Any

from qstar_pl.checks import positive
from qstar_pl.methods.bases.preference_module import PreferenceModule
from qstar_pl.types import LossReport, PreferenceBatch


class DPO(PreferenceModule):
    """Learn from comparisons without sampling (Rafailov et al. 2023).

    The margin of a pair is m = log π_θ/π_init (chosen) − log π_θ/π_init (rejected); the loss is a decreasing function
    of β m. `loss/margin` is the mean of β m, `loss/accuracy` the share of pairs with m > 0.
    """

    def __init__(self, beta: float = 0.1, **kwargs: Any) -> None:
        """Describe the method.

        Args:
            beta: strength of the tie to π_init, in units of reward per nat; must be positive.
            **kwargs: see `PreferenceModule`.

        """
        super().__init__(**kwargs)
        positive(beta=beta)
        self.beta = beta

    def training_step(self, batch: PreferenceBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the preference loss."""
        margins = self.margins(batch)
        loss = self.loss(margins, self.beta).mean()
        return self.step_output(self.preference_report(batch, LossReport(loss, {}), margins, self.beta), loss)
