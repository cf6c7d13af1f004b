"""Learning rates that fall where a metric no longer improves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from qstar_pl.errors import UserError


class Plateau:
    """Tells a ReduceLROnPlateau its metric, once per measurement.

    A metric of validation is measured once per validation, one of training whenever it is logged; `patience` counts
    these. Until the first one the rate stays.
    """

    def __init__(self) -> None:
        self._monitor: str | None = None
        self._told: Any = None

    def config(self, scheduler: Any, *, validates: bool) -> dict[str, Any]:
        """Return Lightning's options for a ReduceLROnPlateau, none for another schedule.

        Args:
            scheduler: of torch.
            validates: whether the run has validations.

        Raises:
            UserError: if it does not say what it watches.

        """
        self._monitor = None
        if not isinstance(scheduler, ReduceLROnPlateau):
            return {}
        self._monitor = getattr(scheduler, "monitor", None)
        if self._monitor is None:
            raise UserError(
                "lr_scheduler.monitor must be given for ReduceLROnPlateau, e.g. val/perplexity "
                "(lightning.pytorch.cli.ReduceLROnPlateau has it), got none"
            )
        if self._monitor.startswith("val/") and not validates:
            rank_zero_warn(
                f"the learning rate stays as it is: lr_scheduler.monitor is {self._monitor}, which a run without "
                "validation (limit_val_batches or val_fraction is 0) never measures"
            )
        # Before its first measurement the metric is absent, of which Lightning warns, or with strict makes an error.
        warnings.filterwarnings("ignore", message="ReduceLROnPlateau conditioned on metric .* which is not available")
        return {"monitor": self._monitor, "strict": False, "reduce_on_plateau": True}

    def step(self, scheduler: Any, metric: Any, taken: int) -> None:
        """Step a schedule; one that waits for a plateau only if `metric` was measured since.

        Args:
            scheduler: of torch.
            metric: its last measurement; None before the first.
            taken: optimizer steps so far.

        Raises:
            UserError: if its options do not suit it.

        """
        try:
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
            elif self._is_new(metric):
                scheduler.step(metric)
        except (ArithmeticError, ValueError, LookupError) as error:  # torch checks few of a schedule's options earlier
            raise UserError(
                f"lr_scheduler must suit the length of the run and its own options, got {type(scheduler).__name__}, "
                f"which fails after step {taken}: {error}"
            ) from error

    def step_schedules(self, trainer: Trainer, *, only_plateaus: bool = False) -> None:
        """Step the schedules where Lightning does not: in manual optimization, after a validation made up for."""
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau or not only_plateaus:
                trainer.lightning_module.lr_scheduler_step(config.scheduler, self.measured(trainer))

    def _is_new(self, metric: Any) -> bool:
        # By identity: each measurement is a tensor of its own, and two of equal value are still two.
        new = metric is not None and metric is not self._told
        self._told = metric
        return new

    def measured(self, trainer: Trainer) -> Any:
        """Return the metric's last measurement, None before the first."""
        return None if self._monitor is None else trainer.callback_metrics.get(self._monitor)

    def due(self, trainer: Trainer) -> float | None:
        """Return a measurement that the schedule has not been told yet, None if there is none."""
        metric = self.measured(trainer)
        return None if metric is None or metric is self._told else float(metric)

    def check(self, metrics: Mapping[str, Any]) -> None:
        """Check that a validation has measured what is watched, unless that is a metric of training.

        Raises:
            UserError: if it has not: the rate would never fall.

        """
        if self._monitor is not None and self._monitor.startswith("val/") and self._monitor not in metrics:
            known = ", ".join(metrics) or "nothing"
            raise UserError(
                f"lr_scheduler.monitor must be a metric that validation measures, here {known}, got {self._monitor}"
            )
