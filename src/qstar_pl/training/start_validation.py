"""Measure what a run starts from, so that its curve has a first point."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from qstar_pl.checkpoints.pending_validation import make_up_for_validation


class ValidateFirst(Callback):
    """Validates before the first step; its metrics are logged at step 0, with nothing spent.

    Training is the same with it and without: answers that are drawn in validation have random streams of their own.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate, unless the run goes on from a checkpoint."""
        if trainer.global_step == 0 and trainer.enable_validation:
            make_up_for_validation(trainer, 0)
