"""Schedules whose length was left open, built for a run of twelve steps."""

from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR

from qstar_pl.errors import UserError
from qstar_pl.optim import ConstantWithWarmup, CosineWithWarmup, LinearWithWarmup
from qstar_pl.optim.run_length import over_run


def rates(schedule, steps=12):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    built = schedule(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        built.step()
    return found


def instance(cls, *args, **kwargs):
    """As the command line builds a class."""
    return cls(*args, **kwargs)


@pytest.mark.parametrize("name", ["lambda", "command line"])
@pytest.mark.parametrize(
    ("cls", "opened", "closed"),
    [
        (CosineWithWarmup, {"warmup_steps": 3}, {"warmup_steps": 3, "total_steps": 12}),
        (LinearWithWarmup, {"warmup_ratio": 0.25}, {"warmup_steps": 3, "total_steps": 12}),
        (LinearWithWarmup, {"warmup_ratio": 0.21}, {"warmup_steps": 3, "total_steps": 12}),
        (ConstantWithWarmup, {"warmup_ratio": 0.25}, {"warmup_steps": 3}),
        (CosineAnnealingLR, {"T_max": -1}, {"T_max": 12}),
        (LinearLR, {"total_iters": -1}, {"total_iters": 12}),
    ],
)
def test_a_length_that_was_left_open_is_the_run_s(cls, opened, closed, name):
    schedule = partial(instance, cls, **opened) if name == "command line" else lambda o: cls(o, **opened)
    assert rates(over_run(schedule, lambda: 12)) == rates(lambda o: cls(o, **closed))


def test_a_share_of_one_step_is_none():
    assert rates(over_run(lambda o: LinearWithWarmup(o, warmup_ratio=0.1), lambda: 1), 1) == [2.0]


def test_one_cycle_on_the_command_line():
    wanted = rates(lambda o: OneCycleLR(o, max_lr=1.0, total_steps=12), 11)
    assert rates(over_run(partial(instance, OneCycleLR, max_lr=1.0), lambda: 12), 11) == wanted


def never():
    raise AssertionError("the run's length was asked for")


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (CosineWithWarmup, {"total_steps": 20, "warmup_ratio": 0.1}),
        (ConstantWithWarmup, {"warmup_steps": 3}),
        (CosineAnnealingLR, {"T_max": 20}),
        (OneCycleLR, {"max_lr": 1.0, "epochs": 2, "steps_per_epoch": 10}),
    ],
)
def test_a_length_that_was_given_stays(cls, options):
    wanted = rates(lambda o: cls(o, **options))
    assert rates(over_run(partial(instance, cls, **options), never)) == wanted


def test_a_warm_up_as_long_as_the_run_and_a_length_that_nobody_knows():
    with pytest.raises(UserError, match=r"total_steps must be above warmup_steps \(12\), got 12"):
        rates(over_run(partial(instance, CosineWithWarmup, warmup_steps=12), lambda: 12))
    with pytest.raises(UserError, match=r"warmup_ratio must be 0 beside warmup_steps=2, got 0\.5"):
        rates(lambda o: CosineWithWarmup(o, warmup_steps=2, warmup_ratio=0.5))
    with pytest.raises(UserError, match="total_steps must be given where no trainer says"):
        rates(CosineWithWarmup)
