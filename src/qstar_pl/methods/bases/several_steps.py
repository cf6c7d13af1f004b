"""A sampling method that takes several optimiser steps per rollout."""

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from qstar_pl.distributed.clipping import clip_norm
from qstar_pl.distributed.ranks import sum_over_ranks, world_size
from qstar_pl.errors import UserError
from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.training.minibatches import deal
from qstar_pl.training.reports import sum_of
from qstar_pl.types import LossReport


class SeveralStepsModule(RolloutModule):
    """Epochs, minibatches and micro-batches over one rollout, by manual optimisation.

    The trainer's own clipping and accumulation know one backward pass per optimiser step, so they give way to
    `gradient_clip` and `micro_batch_size`.
    """

    def __init__(
        self,
        epochs: int = 2,
        minibatches: int = 1,
        micro_batch_size: int | None = None,
        gradient_clip: float | None = 1.0,
        **kwargs: Any,
    ) -> None:
        """Describe the steps.

        Args:
            epochs: passes over each rollout.
            minibatches: optimiser steps per pass.
            micro_batch_size: answers per forward pass; None: a whole minibatch at once.
            gradient_clip: largest norm of the gradient; None: unclipped.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(**kwargs)
        for name, count in (("epochs", epochs), ("minibatches", minibatches), ("micro_batch_size", micro_batch_size)):
            if count is not None and count < 1:
                raise UserError(f"{name} must be at least 1, got {count}")
        if gradient_clip is not None and not gradient_clip > 0:
            raise UserError(f"gradient_clip must be positive, got {gradient_clip}")
        self.automatic_optimization = False
        self.epochs = epochs
        self.minibatches = minibatches
        self.micro_batch_size = micro_batch_size
        self.gradient_clip = gradient_clip

    def configure_callbacks(self) -> Sequence[Callback]:
        """Check the trainer; of Lightning's hooks this alone comes before its own words on the trainer's options."""
        if self.trainer.state.fn == "fit":
            name, trainer = type(self).__name__, self.trainer
            if trainer.gradient_clip_val:
                raise UserError(
                    f"trainer.gradient_clip_val must be null for {name}, which clips by model.init_args.gradient_clip, "
                    f"got {trainer.gradient_clip_val}"
                )
            if trainer.accumulate_grad_batches != 1:
                raise UserError(
                    f"trainer.accumulate_grad_batches must be 1 for {name}, which splits a batch by "
                    f"model.init_args.micro_batch_size, got {trainer.accumulate_grad_batches}"
                )
        return super().configure_callbacks()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip: after the loss scale of float16 was taken out and the diagnostics have seen the whole gradient."""
        if self.gradient_clip is not None:
            clip_norm(self, optimizer, self.gradient_clip)

    def deal(self, mask: Tensor) -> list[list[Tensor]]:
        """Return the row numbers of every minibatch of every epoch, for a rollout with `mask` [rows, time]."""
        seed = (self.sampling_seed << 32) + self.global_step
        return [
            deal(len(mask), self.minibatches, seed=seed, epoch=epoch, device=mask.device)
            for epoch in range(self.epochs)
        ]

    def split(self, minibatch: Tensor) -> tuple[Tensor, ...]:
        """Return the row numbers of each micro-batch."""
        size = self.micro_batch_size or len(minibatch)
        return tuple(minibatch[start : start + size] for start in range(0, len(minibatch), size))

    def take_steps(
        self, epochs: list[list[Tensor]], mask: Tensor, loss: Callable[[Tensor, Tensor], LossReport]
    ) -> list[LossReport]:
        """Take one optimiser step per minibatch, and report each.

        Args:
            epochs: from `deal`.
            mask: [rows, time] bool, the tokens that losses are means over.
            loss: (row numbers of a micro-batch, scale) → the sum over these rows' tokens, times scale. Scale makes the
                sum a part of the mean over the minibatch's tokens on all ranks, however they are dealt out.

        """
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        reports: list[LossReport] = []
        for minibatch in (minibatch for epoch in epochs for minibatch in epoch):
            # Gradients are averaged over ranks, so every rank's part counts world_size times.
            scale = world_size() / sum_over_ranks(mask[minibatch].sum())
            parts = self.split(minibatch)
            of_parts: list[LossReport] = []
            optimizer.zero_grad()
            for number, rows in enumerate(parts, start=1):
                with optimizer.toggle_model(sync_grad=number == len(parts)):
                    report = loss(rows, scale)
                    self.watch.note_loss(report.loss, report.terms)
                    self.manual_backward(report.loss)
                of_parts.append(LossReport(report.loss.detach(), report.terms))
            reports.append(sum_of(of_parts))
            self.watch.before_step(self, optimizer.optimizer)
            optimizer.step()
            self.watch.after_step(self, self.global_step)
            self.plateau.step_schedules(self.trainer)
        return reports
