"""End a run at a budget, wherever its steps have come to."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from qstar_pl.callbacks.throughput import ThroughputDiagnostic
from qstar_pl.checks import at_least
from qstar_pl.errors import UserError

Unit = Literal["samples", "generated", "tokens"]


class Budget(Callback):
    """Ends the run after the first step with which it has spent an amount, as `ThroughputDiagnostic` counts it.

    Methods need different numbers of steps for equally many tokens; `trainer.max_steps` stays the upper bound. A run
    that is continued with nothing left to spend takes no further step.
    """

    def __init__(self, unit: Unit = "samples", amount: int = 100_000) -> None:
        """Describe the budget.

        Args:
            unit: "samples" (answers drawn, pairs or demonstrations), "generated" (completion tokens sampled), or
                "tokens" (completion tokens trained on, once per pass).
            amount: how many, over all processes; at least 1.

        """
        at_least(1, amount=amount)
        self.unit: Unit = unit
        self.amount = amount
        self.is_spent = False
        """Whether nothing is left."""
        self._step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take no step if the run that is continued has spent everything."""
        self._step = trainer.global_step
        self._end_if_spent(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """End the run if this step has spent the rest."""
        if trainer.global_step != self._step:  # not inside an accumulation window, which must be finished
            self._step = trainer.global_step
            self._end_if_spent(trainer)

    def _end_if_spent(self, trainer: Trainer) -> None:
        counting = next((one for one in _callbacks(trainer) if isinstance(one, ThroughputDiagnostic)), None)
        if counting is None:
            raise UserError("trainer.callbacks must hold a ThroughputDiagnostic beside Budget, which counts for it")
        if counting.spent(trainer)[f"{self.unit}/total"] >= self.amount:
            self.is_spent = trainer.should_stop = True


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined, no-any-return] # (Lightning sets it later)
