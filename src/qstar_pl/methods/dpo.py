"""Direct preference optimization."""

from typing import Any

from torch import Tensor

from qstar_pl.checks import positive
from qstar_pl.evaluation.metrics import PAIR_METRICS, Comparisons, Metric
from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.qstar.losses import PreferenceLoss, Sigmoid
from qstar_pl.qstar.preferences import PairLogprobs
from qstar_pl.types import LossReport, PreferenceBatch, StepReport


class DPO(PolicyModule):
    """Learn from comparisons without sampling (Rafailov et al. 2023).

    The margin of a pair is m = log π_θ/π_init (chosen) − log π_θ/π_init (rejected); the loss is a decreasing function
    of β m. `loss/margin` is the mean of β m, `loss/accuracy` the share of pairs with m > 0 (a tie counts one half),
    both of the m that enters the loss: with IPO, a mean over tokens. `rewards/*` and `logps/*` are of whole answers,
    see `PreferenceDiagnostic`; `validate` and `test` report them too.
    """

    batch_type = PreferenceBatch

    def __init__(
        self,
        beta: float = 0.1,
        loss: PreferenceLoss = Sigmoid(),
        metrics: list[Metric] = PAIR_METRICS,
        **kwargs: Any,
    ) -> None:
        """Describe the method.

        Args:
            beta: strength of the tie to π_init, in units of reward per nat; must be positive.
            loss: Sigmoid (DPO), IPO or Hinge, each with `label_smoothing`.
            metrics: what `validate` and `test` report; `metrics+=` adds to it.
            **kwargs: see `PolicyModule`.

        """
        super().__init__(metrics=metrics, **kwargs)
        positive(beta=beta)
        self.beta = beta
        self.loss = loss

    def margins(self, batch: PreferenceBatch) -> Tensor:
        """Return m [pairs] in nats: of whole answers, or per token where the loss says so."""
        return self.pair_logprobs(batch).margins(per_token=self.loss.per_token)

    def training_step(self, batch: PreferenceBatch, batch_idx: int) -> dict[str, Any]:
        """One gradient of the preference loss."""
        pairs = self.pair_logprobs(batch)
        loss = self.loss(pairs.margins(per_token=self.loss.per_token), self.beta).mean()
        return self.step_output(self.preference_report(batch, LossReport(loss, {}), pairs, self.beta), loss)

    def preference_report(
        self, batch: PreferenceBatch, loss: LossReport, pairs: PairLogprobs, beta: Tensor | float
    ) -> StepReport:
        """Collect what the diagnostics read; `beta` as it entered the loss."""
        margins = pairs.margins(per_token=self.loss.per_token)
        accuracy = ((margins.sign() + 1) / 2).mean()  # a tie counts one half
        return StepReport(
            loss=loss.loss,
            terms={"margin": (beta * margins).mean(), "accuracy": accuracy, **loss.terms},
            samples=len(batch),
            tokens=int(batch.chosen_mask.sum() + batch.rejected_mask.sum()),
            histograms={"margin": margins},
            pairs=pairs.quantities(beta),
        )

    def comparisons(self, batch: PreferenceBatch) -> Comparisons:
        """See `PolicyModule.comparisons`; with the rewards that the method's β makes of the log-ratios."""
        pairs = self.pair_logprobs(batch)
        return Comparisons(batch, margins=pairs.margins(), quantities=pairs.quantities(self.beta))
