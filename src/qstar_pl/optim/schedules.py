"""Learning rates over a run: warm-up, then constant, linear or cosine.

Values of `lr_scheduler`; a schedule is stepped once per optimizer step, and multiplies the rate of every group. What is
not said of its length follows from the run's (`optim/run_length.py`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError


class WarmupSchedule(LambdaLR, ABC):
    """(step + 1) / (w + 1) of the optimizer's rate in the first w steps, then what a subclass says in `after`."""

    decays: ClassVar[bool] = True
    """Whether `after` changes until total_steps, which must then be known."""

    def __init__(self, optimizer: Optimizer, total_steps: int | None, warmup_steps: int, warmup_ratio: float) -> None:
        at_least(0, warmup_steps=warmup_steps)
        within("[0, 1)", warmup_ratio=warmup_ratio)
        if warmup_steps and warmup_ratio:
            raise UserError(f"warmup_ratio must be 0 beside warmup_steps={warmup_steps}, got {warmup_ratio}")
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.warmup_ratio = warmup_ratio
        if total_steps is not None:
            self._divide(total_steps)
        # A lambda, of which torch stores nothing; an object it would store with all that belongs to it.
        super().__init__(optimizer, lambda step: self.fraction(step))

    @property
    def is_open(self) -> bool:
        """Whether the schedule waits for `run_for`."""
        return self.total_steps is None and (self.decays or self.warmup_ratio > 0)

    def run_for(self, total_steps: int) -> None:
        """Take the length of the run, before the first step.

        Raises:
            UserError: if no step is left after the warm-up.

        """
        self.total_steps = total_steps
        self._divide(total_steps)
        for group, rate in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = rate * self.fraction(0)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _divide(self, total_steps: int) -> None:
        if self.warmup_ratio:
            # At least one step is left, also of a trial of very few.
            self.warmup_steps = min(math.ceil(self.warmup_ratio * total_steps), total_steps - 1)
        if self.decays and total_steps <= self.warmup_steps:  # a decay needs a step after the warm-up
            raise UserError(f"total_steps must be above warmup_steps ({self.warmup_steps}), got {total_steps}")

    def fraction(self, step: int) -> float:
        """Return the share of the optimizer's rate that a step takes, in [0, 1]."""
        if self.is_open and step > 0:
            raise UserError("total_steps must be given where no trainer says how long the run is, got none")
        return (step + 1) / (self.warmup_steps + 1) if step < self.warmup_steps else self.after(step)

    @abstractmethod
    def after(self, step: int) -> float:
        """Return the share that a step after the warm-up takes."""

    def done(self, step: int) -> float:
        """Return how much of the way from the warm-up to total_steps is behind a step, in [0, 1]."""
        if self.total_steps is None:
            return 0.0
        return min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))


class ConstantWithWarmup(WarmupSchedule):
    """(step + 1) / (warmup_steps + 1) of the optimizer's rate for warmup_steps steps, then all of it."""

    decays = False

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int = 0,
        warmup_ratio: float = 0.0,
        total_steps: int | None = None,
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            warmup_steps: steps below the full rate, at least 0; the first one already has a rate above 0.
            warmup_ratio: the same as a share of total_steps, rounded up, in [0, 1); 0: warmup_steps says it.
            total_steps: what warmup_ratio is a share of; null: the run's optimizer steps.

        """
        super().__init__(optimizer, total_steps, warmup_steps, warmup_ratio)

    def after(self, step: int) -> float:
        """See `WarmupSchedule.after`."""
        return 1.0


class LinearWithWarmup(WarmupSchedule):
    """After the warm-up, a straight line from the optimizer's rate to final_fraction of it at total_steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int | None = None,
        warmup_steps: int = 0,
        final_fraction: float = 0.0,
        warmup_ratio: float = 0.0,
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            total_steps: where the line ends, and the rate then stays; null: the run's optimizer steps. A run that goes
                on with another length is on the line of its new length.
            warmup_steps: see `ConstantWithWarmup`; below total_steps.
            final_fraction: share of the rate that is left at the end, in [0, 1].
            warmup_ratio: see `ConstantWithWarmup`.

        """
        within("[0, 1]", final_fraction=final_fraction)
        self.final_fraction = final_fraction
        super().__init__(optimizer, total_steps, warmup_steps, warmup_ratio)

    def after(self, step: int) -> float:
        """See `WarmupSchedule.after`."""
        return 1 - (1 - self.final_fraction) * self.done(step)


class CosineWithWarmup(WarmupSchedule):
    """After the warm-up, half a cosine from the optimizer's rate to final_fraction of it at total_steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int | None = None,
        warmup_steps: int = 0,
        final_fraction: float = 0.0,
        warmup_ratio: float = 0.0,
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            total_steps: where the cosine ends, and the rate then stays; null: the run's optimizer steps. A run that
                goes on with another length is on the cosine of its new length.
            warmup_steps: see `ConstantWithWarmup`; below total_steps.
            final_fraction: share of the rate that is left at the end, in [0, 1].
            warmup_ratio: see `ConstantWithWarmup`.

        """
        within("[0, 1]", final_fraction=final_fraction)
        self.final_fraction = final_fraction
        super().__init__(optimizer, total_steps, warmup_steps, warmup_ratio)

    def after(self, step: int) -> float:
        """See `WarmupSchedule.after`."""
        return self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * self.done(step))) / 2
