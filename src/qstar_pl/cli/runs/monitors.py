"""Callbacks that wait for a metric that never comes, and so did not do what was asked of them."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from qstar_pl.errors import UserError

NO_BEST = "no best checkpoint was kept"


def check_monitors(trainer: Trainer) -> None:
    """Check that every metric that a callback of an ended run monitors was logged.

    Lightning checks this itself when a callback acts after a validation; a short run, or one that saves between
    validations, ends without that check.

    Raises:
        UserError: if one was not; the run itself is saved by then.

    """
    logged = trainer.callback_metrics
    for config in trainer.lr_scheduler_configs:
        # What a validation would have measured is known to be measured (`Plateau.check`), unless there was none.
        if config.monitor is not None and not config.monitor.startswith("val/") and config.monitor not in logged:
            raise unknown_monitor("lr_scheduler.monitor", config.monitor, "the rate has not changed", logged)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or monitor in logged or not getattr(callback, "strict", True):
            continue
        if isinstance(callback, ModelCheckpoint) and (callback.save_top_k == 0 or monitor in ("epoch", "step")):
            continue
        missed = NO_BEST if isinstance(callback, ModelCheckpoint) else "it did nothing"
        raise unknown_monitor(f"monitor of {type(callback).__name__}", monitor, missed, logged)


def unknown_monitor(option: str, monitor: str, missed: str, logged: Collection[str]) -> UserError:
    """Return the error of a callback that monitors what is not logged.

    Args:
        option: the option that names the metric.
        monitor: its name.
        missed: what the callback did not do without it.
        logged: the metrics that were logged.

    """
    near = difflib.get_close_matches(monitor, logged, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    known = ", ".join(sorted(logged)) or "nothing"
    return UserError(
        f"{option} must be a metric that the run logs, got {monitor}, so {missed}{hint} logged: {known} "
        f"(what was trained is saved)"
    )
