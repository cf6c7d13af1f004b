"""How many optimizer steps a run takes."""

from __future__ import annotations

import math

from lightning.pytorch import Trainer

from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError


def run_length(trainer: Trainer, steps_per_batch: int = 1) -> int:
    """Return the optimizer steps until trainer.max_steps or trainer.max_epochs ends the run, whichever is first.

    Args:
        trainer: of the run.
        steps_per_batch: optimizer steps of a batch, where one takes several.

    Raises:
        UserError: if neither says it (max_time does not, nor max_epochs with another data module).

    """
    limits = [trainer.max_steps] if trainer.max_steps != -1 else []
    data = getattr(trainer, "datamodule", None)
    # -1: no limit. Not Lightning's estimate, which would begin to read the data here.
    if trainer.max_epochs not in (None, -1) and isinstance(data, RLHFDataModule):
        batches = data.train_dataloader().order.epoch_batches
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * steps_per_batch
        limits.append(steps * max(1, trainer.max_epochs))
    if not limits:
        raise UserError(
            "lr_scheduler.total_steps must be given where neither trainer.max_steps nor trainer.max_epochs (with this "
            "package's data module) says how long the run is, got none"
        )
    return min(limits)
