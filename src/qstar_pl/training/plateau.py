"""Learning rates that fall where a metric no longer improves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from qstar_pl.errors import UserError


class Plateau:
    """Tells a ReduceLROnPlateau of its metric, once for each time that it was measured.

    A metric of validation is measured once per validation, one of training whenever it is logged; `patience` counts
    these. Without any, the rate stays.
    """

    def __init__(self) -> None:
        self._monitor: str | None = None
        self._told: Any = None

    def config(self, scheduler: Any) -> dict[str, Any]:
        """Return what Lightning is told of such a schedule, nothing of another one.

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
        warnings.filterwarnings("ignore", message="ReduceLROnPlateau conditioned on metric .* which is not available")
        return {"monitor": self._monitor, "strict": False, "reduce_on_plateau": True}

    def watches(self, scheduler: Any) -> bool:
        """Return whether a schedule is one that waits for a plateau."""
        return isinstance(scheduler, ReduceLROnPlateau)

    def is_new(self, metric: Any) -> bool:
        """Return whether `metric` was measured since the last call, and take note of it."""
        # Each measurement is a tensor of its own; two of the same value are two.
        new = metric is not None and metric is not self._told
        self._told = metric
        return new

    def measured(self, trainer: Trainer) -> Any:
        """Return the metric as it was last measured, None before."""
        return None if self._monitor is None else trainer.callback_metrics.get(self._monitor)

    def due(self, trainer: Trainer) -> float | None:
        """Return a measurement that the schedule has not been told of yet, None if there is none."""
        metric = self.measured(trainer)
        return None if metric is None or metric is self._told else float(metric)

    def check(self, metrics: Mapping[str, Any]) -> None:
        """Do nothing if a validation has measured what is watched (or that is a metric of training).

        Raises:
            UserError: if not: the rate would never fall.

        """
        if self._monitor is not None and self._monitor.startswith("val/") and self._monitor not in metrics:
            known = ", ".join(metrics) or "nothing"
            raise UserError(
                f"lr_scheduler.monitor must be a metric that validation measures, here {known}, got {self._monitor}"
            )
