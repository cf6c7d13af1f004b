"""How many optimizer steps a run will have taken when it ends by itself."""

from __future__ import annotations

import math

from lightning.pytorch import LightningModule, Trainer


def planned_steps(trainer: Trainer, pl_module: LightningModule) -> float:
    """Return the optimizer steps after which the run will have ended, inf if neither steps nor epochs end it.

    Lightning's estimate counts a batch as one step and knows only whole limits: where a batch takes several steps
    (`steps_per_batch`), a run ends after the batch that reaches max_steps.

    Args:
        trainer: of the run, once training has started: its loaders are known.
        pl_module: the method.

    """
    per_batch = getattr(pl_module, "steps_per_batch", 1)
    if per_batch == 1:
        return trainer.estimated_stepping_batches
    limits = [math.inf if trainer.max_steps == -1 else trainer.max_steps]
    if trainer.max_epochs not in (None, -1):
        batches = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        limits.append(batches * max(1, trainer.max_epochs) * per_batch)
    left = min(limits) - trainer.global_step
    return trainer.global_step + math.ceil(max(0, left) / per_batch) * per_batch if math.isfinite(left) else math.inf
