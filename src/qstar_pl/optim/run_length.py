"""Schedules that are as long as the run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from qstar_pl.optim.schedules import WarmupSchedule

Schedule = Callable[[Optimizer], LRScheduler]
AS_THE_RUN = -1
"""Of torch's `T_max` and `total_iters`: the run's optimizer steps, as trainer.max_steps counts them."""


def over_run(schedule: Schedule, steps: Callable[[], int]) -> Schedule:
    """Return the schedule with the run's length wherever its own was left open.

    That is `total_steps=None` of this project's schedules and of OneCycleLR (there on the command line only: torch
    refuses it before anybody could help), and `T_max=-1` (CosineAnnealingLR) or `total_iters=-1` (LinearLR, …).

    Args:
        schedule: of torch or of this project.
        steps: returns the run's optimizer steps; only called if they are needed.

    """

    def build(optimizer: Optimizer) -> LRScheduler:
        options = {"total_steps": steps()} if _lacks_total_steps(schedule) else {}
        built: Any = cast(Any, schedule)(optimizer, **options)
        if isinstance(built, WarmupSchedule) and built.is_open:
            built.run_for(steps())
        for name in ("T_max", "total_iters"):
            if getattr(built, name, None) == AS_THE_RUN:
                setattr(built, name, steps())  # the rate of step 0, which is set already, does not depend on it
        return built  # type: ignore[no-any-return]

    return build


def _lacks_total_steps(schedule: Schedule) -> bool:
    # The command line gives functools.partial(…, class, **options).
    cls = schedule.args[-1] if isinstance(schedule, partial) and schedule.args else None
    if not isinstance(schedule, partial) or not inspect.isclass(cls) or issubclass(cls, WarmupSchedule):
        return False
    parameters = inspect.signature(cls).parameters.items()
    options = {name: parameter.default for name, parameter in parameters} | schedule.keywords
    # OneCycleLR takes epochs and steps_per_epoch instead.
    return options.get("total_steps", AS_THE_RUN) is None and options.get("epochs") is None
