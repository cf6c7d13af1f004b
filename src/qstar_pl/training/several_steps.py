"""Several optimizer steps per rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from qstar_pl.checks import at_least, positive
from qstar_pl.distributed.ranks import sum_over_ranks, world_size
from qstar_pl.errors import UserError
from qstar_pl.training.finite_watch import FiniteWatch
from qstar_pl.training.minibatches import deal
from qstar_pl.training.plateau import Plateau
from qstar_pl.training.reports import sum_of
from qstar_pl.types import LossReport


@dataclass(frozen=True)
class SeveralSteps:
    """Epochs, minibatches and micro-batches over one rollout, by manual optimization.

    Lightning refuses its own clipping and accumulation under manual optimization: `gradient_clip` and
    `micro_batch_size` take their place.
    """

    epochs: int
    """Passes over each rollout."""
    minibatches: int
    """Optimizer steps per pass."""
    micro_batch_size: int | None
    """Answers per forward pass; None: a whole minibatch at once."""
    gradient_clip: float | None
    """Largest norm of the gradient; None: unclipped."""

    def __post_init__(self) -> None:
        for name in ("epochs", "minibatches", "micro_batch_size"):
            count = getattr(self, name)
            at_least(1, **{name: count})
        positive(gradient_clip=self.gradient_clip)

    @property
    def per_rollout(self) -> int:
        """Optimizer steps per rollout."""
        return self.epochs * self.minibatches

    def check(self, trainer: Trainer, method: str) -> None:
        """Raise UserError if a trainer that is about to train clips or accumulates itself."""
        if trainer.state.fn != "fit":
            return
        if trainer.gradient_clip_val:
            raise UserError(
                f"trainer.gradient_clip_val must be null for {method}, which clips by model.init_args.gradient_clip, "
                f"got {trainer.gradient_clip_val}"
            )
        if trainer.accumulate_grad_batches != 1:
            raise UserError(
                f"trainer.accumulate_grad_batches must be 1 for {method}, which splits a batch by "
                f"model.init_args.micro_batch_size, got {trainer.accumulate_grad_batches}"
            )

    def deal(self, mask: Tensor, *, seed: int) -> list[list[Tensor]]:
        """Return the row numbers of every minibatch of every epoch, for a rollout with `mask` [rows, time]."""
        return [
            deal(len(mask), self.minibatches, seed=seed, epoch=epoch, device=mask.device)
            for epoch in range(self.epochs)
        ]

    def split(self, minibatches: Sequence[Tensor]) -> list[Tensor]:
        """Return the row numbers of each micro-batch of some minibatches."""
        return [
            minibatch[start : start + size]
            for minibatch in minibatches
            for size in [self.micro_batch_size or len(minibatch)]
            for start in range(0, len(minibatch), size)
        ]

    def take(
        self,
        module: LightningModule,
        watch: FiniteWatch,
        plateau: Plateau,
        minibatches: Sequence[Tensor],
        mask: Tensor,
        loss: Callable[[Tensor, Tensor], LossReport],
    ) -> list[LossReport]:
        """Take one optimizer step per minibatch, and report each.

        Args:
            module: the method, with manual optimization.
            watch: the method's.
            plateau: the method's.
            minibatches: from `deal`, one epoch after the other.
            mask: [rows, time] bool, the tokens that losses are means over.
            loss: (row numbers of a micro-batch, scale) → the sum over these rows' tokens, times scale. Scale makes the
                sum a part of the mean over the minibatch's tokens on all ranks, however they are dealt out.

        """
        optimizer = module.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        reports: list[LossReport] = []
        for minibatch in minibatches:
            # Gradients are averaged over ranks, so every rank's part counts world_size times.
            scale = world_size() / sum_over_ranks(mask[minibatch].sum())
            parts = self.split([minibatch])
            of_parts: list[LossReport] = []
            optimizer.zero_grad()
            for number, rows in enumerate(parts, start=1):
                # Gradients add up locally; the last backward pass shares them between ranks.
                with optimizer.toggle_model(sync_grad=number == len(parts)):
                    report = loss(rows, scale)
                    watch.note_loss(report.loss, report.terms)
                    module.manual_backward(report.loss)
                of_parts.append(LossReport(report.loss.detach(), report.terms))
            reports.append(sum_of(of_parts))
            watch.before_step(module, optimizer.optimizer)
            optimizer.step()
            watch.after_step(module, module.global_step)  # which counts this step by now
            plateau.step_schedules(module.trainer)  # Lightning does so in automatic optimization alone
        return reports
