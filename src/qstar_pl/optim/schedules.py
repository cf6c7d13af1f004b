"""Learning rates over a run: warm-up, then constant, linear or cosine.

Values of `lr_scheduler`; a schedule is stepped once per optimizer step, and multiplies the rate of every group.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError


class ConstantWithWarmup(LambdaLR):
    """(step + 1) / (warmup_steps + 1) of the optimizer's rate for warmup_steps steps, then all of it."""

    def __init__(self, optimizer: Optimizer, warmup_steps: int = 0) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            warmup_steps: steps below the full rate, at least 0; the first one already has a rate above 0.

        """
        super().__init__(optimizer, _warmed(warmup_steps, lambda step: 1.0))


class LinearWithWarmup(LambdaLR):
    """After the warm-up, a straight line from the optimizer's rate to final_fraction of it at total_steps."""

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            total_steps: where the line ends: trainer.max_steps, as a rule. The rate then stays.
            warmup_steps: see `ConstantWithWarmup`; below total_steps.
            final_fraction: share of the rate that is left at the end, in [0, 1].

        """
        done = _progress(total_steps, warmup_steps, final_fraction)
        super().__init__(optimizer, _warmed(warmup_steps, lambda step: 1 - (1 - final_fraction) * done(step)))


class CosineWithWarmup(LambdaLR):
    """After the warm-up, half a cosine from the optimizer's rate to final_fraction of it at total_steps."""

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: whose rate is scheduled.
            total_steps: where the cosine ends: trainer.max_steps, as a rule. The rate then stays.
            warmup_steps: see `ConstantWithWarmup`; below total_steps.
            final_fraction: share of the rate that is left at the end, in [0, 1].

        """
        done = _progress(total_steps, warmup_steps, final_fraction)

        def decay(step: int) -> float:
            return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * done(step))) / 2

        super().__init__(optimizer, _warmed(warmup_steps, decay))


def _warmed(warmup_steps: int, after: Callable[[int], float]) -> Callable[[int], float]:
    at_least(0, warmup_steps=warmup_steps)
    return lambda step: (step + 1) / (warmup_steps + 1) if step < warmup_steps else after(step)


def _progress(total_steps: int, warmup_steps: int, final_fraction: float) -> Callable[[int], float]:
    if total_steps <= max(warmup_steps, 0):  # the division below needs a step after the warm-up
        raise UserError(f"total_steps must be above warmup_steps ({warmup_steps}), got {total_steps}")
    within("[0, 1]", final_fraction=final_fraction)
    return lambda step: min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
