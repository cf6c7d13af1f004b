"""What is minimized, and with which learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lightning.pytorch import LightningModule, Trainer

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .reductions import MAX, mean_of, present

_RATES_KEY = "qstar_window_rates"


class LossDiagnostic(Diagnostic):
    """The loss, its terms and the learning rate.

    With M micro-steps of all ranks in the window, loss_m the mean over micro-batch m:

    - `loss/total`  = 1/M Σ_m loss_m, which is the objective that was optimized: a step's gradient is the mean over its
      micro-steps, however many the last step of an epoch has
    - `loss/<term>` = Σ_m n_m term_m / Σ_m n_m over the micro-steps that had it, n_m its `StepReport.counts`, or 1
    - `steps/skipped` = steps that were left out so far because something was not finite; absent while there are none
    - `lr`          = learning rate of the window's last optimizer step; `lr/<group>` if there are several parameter
      groups (named by their "name", or else by the numbers optimizer.group)

    Args:
        prog_bar: show `loss/total` in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ("loss/total",)

    def __init__(self, prog_bar: bool = True) -> None:
        super().__init__(prog_bar)
        self._learning_rates: dict[str, float] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the learning rates that the step uses: once it has ended, the scheduler has set those of the next."""
        rates: dict[str, float] = {}
        for i, optimizer in enumerate(trainer.optimizers):
            for j, group in enumerate(optimizer.param_groups):
                rates[f"lr/{group.get('name', f'{i}.{j}')}"] = float(group["lr"])
        self._learning_rates = {"lr": next(iter(rates.values()))} if len(rates) == 1 else rates

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the rates of the unfinished window: a run that was killed after its last step still logs it."""
        checkpoint[_RATES_KEY] = self._learning_rates

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self._learning_rates = dict(checkpoint.get(_RATES_KEY) or {})

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        self.add("loss", report.loss)
        self.add("micro_steps", 1.0)
        for name, term in report.terms.items():
            count = report.counts.get(name)
            self.add(f"term/{name}", term if count is None else term * count)
            self.add(f"term_count/{name}", 1.0 if count is None else count)

    def before_flush(self, trainer: Trainer) -> None:
        """See `Observer.before_flush`."""
        if skipped := getattr(trainer.lightning_module, "skipped_steps", 0):
            self.add("skipped", float(skipped), MAX)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        metrics = {"loss/total": mean_of(stats, "loss", "micro_steps"), "steps/skipped": stats.get("skipped")}
        for statistic in stats:
            kind, _, name = statistic.partition("/")
            if kind == "term":
                metrics[f"loss/{name}"] = mean_of(stats, statistic, f"term_count/{name}")
        return present(metrics) | self._learning_rates
