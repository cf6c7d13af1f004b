"""The micro-batches of one optimizer step, of which there may be fewer than asked for."""

from __future__ import annotations

import torch
from lightning.pytorch import Trainer


class AccumulationWindow:
    """Makes the accumulated gradient the mean over the micro-batches that there were.

    Lightning divides every loss by accumulate_grad_batches. Where an epoch ends within a window, or a run is resumed
    within one, fewer losses add up, and the gradient is too small by the share of those that are missing.
    """

    def __init__(self) -> None:
        self._step = -1
        self._count = 0

    def begin_batch(self, trainer: Trainer) -> bool:
        """Count a micro-batch, and return whether it is the first of its step; an optimizer step ends the count."""
        if trainer.global_step != self._step:
            self._step, self._count = trainer.global_step, 0
        self._count += 1
        return self._count == 1

    def is_last(self, trainer: Trainer) -> bool:
        """Return whether an optimizer step follows on the micro-batch at hand."""
        return not trainer.fit_loop.epoch_loop._should_accumulate()  # also False on an epoch's last batch

    @torch.no_grad()
    def average(self, trainer: Trainer) -> None:
        """Scale the gradient up for the micro-batches that are missing; called after every backward pass.

        By then the ranks have shared the gradient, and nothing has read it yet. Float16's loss scale is still in it,
        which a common factor does not disturb.
        """
        if self.is_last(trainer) and trainer.accumulate_grad_batches != self._count:
            factor = trainer.accumulate_grad_batches / self._count
            gradients = [p.grad for group in trainer.optimizers[0].param_groups for p in group["params"]]
            torch._foreach_mul_([gradient for gradient in gradients if gradient is not None], factor)
