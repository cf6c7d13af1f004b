"""The owner of a trainer's diagnostics: it feeds them, flushes them all at once, and saves what is unfinished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from qstar_pl.types import StepReport

from .metrics_bus import MetricsBus, log_interval
from .observer import Observer
from .reductions import REDUCTIONS

WINDOWS = "qstar_pl_diagnostics"
"""The unfinished windows in a checkpoint."""
_FLUSHED_KEY = "qstar_flushed_step"


class Diagnostics(Callback):
    """Holds the diagnostics among a trainer's callbacks, and the bus that they share.

    Nobody needs to add it: a diagnostic whose trainer has none inserts one behind the last diagnostic, so that the
    metrics are there for every callback that comes later (guards, checkpoints, early stopping).
    """

    def __init__(self) -> None:
        self.diagnostics: list[Observer] = []
        self.bus = MetricsBus()

    @classmethod
    def own(cls, trainer: Trainer) -> None:
        """Give the trainer's diagnostics an owner, if they have none yet."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if not any(isinstance(callback, cls) for callback in callbacks):
            # Lightning is iterating over this very list to call `setup`, and will still reach what is inserted behind.
            last = max(index for index, callback in enumerate(callbacks) if isinstance(callback, Observer))
            callbacks.insert(last + 1, cls())

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """List the diagnostics, and let the ranks agree anew on what they have."""
        if stage == "fit":
            callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
            self.diagnostics = [callback for callback in callbacks if isinstance(callback, Observer)]
            self.bus = MetricsBus()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that training starts at, or from the last one that the resumed run had logged."""
        restored = self.bus.restored_step
        self.bus.flushed_step = trainer.global_step if restored is None else restored

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the micro-step to all diagnostics, and flush them when a log is due."""
        report = outputs.get("report") if isinstance(outputs, Mapping) else None
        if isinstance(report, StepReport) and log_interval(trainer) > 0:
            # One batch that is not finite would make every sum of the window so.
            spoiled = getattr(pl_module, "spoiled", False)
            for diagnostic in self.diagnostics:
                if diagnostic.counts_all or not spoiled:
                    diagnostic.observe(trainer, report)
        if self.bus.is_due(trainer):
            self.bus.flush(trainer, pl_module, self.diagnostics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the steps since the last logging step, so that a short run is not a silent one."""
        if log_interval(trainer) > 0 and trainer.global_step != self.bus.flushed_step:
            self.bus.flush(trainer, pl_module, self.diagnostics)
            for logger in trainer.loggers:
                logger.save()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the unfinished window of each rank (Lightning calls this on every rank)."""
        windows = self.bus.of_ranks(trainer, self.diagnostics)
        checkpoint[WINDOWS] = {d.state_key: w for d, w in zip(self.diagnostics, windows, strict=True)}
        checkpoint[_FLUSHED_KEY] = self.bus.flushed_step

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the unfinished windows back: each rank its own, since sums in another order round differently.

        On another number of ranks, rank zero takes the totals.
        """
        self.bus.restored_step = checkpoint.get(_FLUSHED_KEY)
        windows = checkpoint.get(WINDOWS, {})
        for diagnostic in self.diagnostics:
            for name, (kind, values) in windows.get(diagnostic.state_key, {}).items():
                reduction = REDUCTIONS[kind]
                if len(values) == trainer.world_size:
                    diagnostic.add(name, values[trainer.global_rank], reduction)
                elif trainer.is_global_zero:
                    total = reduction.over_ranks(torch.tensor(values, dtype=torch.float64))
                    diagnostic.add(name, total, reduction)
