"""The micro-batches of one optimizer step, of which there may be fewer than asked for."""

from __future__ import annotations

import torch
from lightning.pytorch import Trainer


class AccumulationWindow:
    """Makes the accumulated gradient the mean over the micro-batches that there were.

    Lightning divides every loss by accumulate_grad_batches. Where an epoch ends before so many, or a run goes on within
    a window, fewer add up to a gradient that is too small by just the share of those that are missing.
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
        return not trainer.fit_loop.epoch_loop._should_accumulate()

    @torch.no_grad()
    def average(self, trainer: Trainer) -> None:
        """After the backward pass of a window's last micro-batch, make up for those that are missing.

        Before anything reads the gradient (loss scales are multiplied through, so it does not matter that they are
        still in it), and after the ranks have shared it.
        """
        if self.is_last(trainer) and trainer.accumulate_grad_batches != self._count:
            factor = trainer.accumulate_grad_batches / self._count
            gradients = [p.grad for group in trainer.optimizers[0].param_groups for p in group["params"]]
            torch._foreach_mul_([gradient for gradient in gradients if gradient is not None], factor)
