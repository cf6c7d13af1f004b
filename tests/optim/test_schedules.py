import math

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.optim import ConstantWithWarmup, CosineWithWarmup, LinearWithWarmup


def rates(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        schedule.step()
    return found


def test_constant():
    assert rates(lambda o: ConstantWithWarmup(o, warmup_steps=3), 6) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert rates(ConstantWithWarmup, 2) == [1, 1]


def test_linear_reaches_its_end_and_stays():
    found = rates(lambda o: LinearWithWarmup(o, total_steps=6, warmup_steps=2, final_fraction=0.2), 8)
    assert found == pytest.approx([1 / 3, 2 / 3, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_cosine_is_half_way_in_the_middle_and_flat_at_its_ends():
    found = rates(lambda o: CosineWithWarmup(o, total_steps=9, warmup_steps=1, final_fraction=0.1), 11)
    assert found[:2] == pytest.approx([0.5, 1.0])
    assert found[5] == pytest.approx(0.55)
    assert found[3] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert found[9:] == pytest.approx([0.1, 0.1])


def test_every_group_is_scaled_from_its_own_rate():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.1)]
    optimizer = torch.optim.SGD(groups)
    LinearWithWarmup(optimizer, total_steps=4, warmup_steps=1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_a_resumed_schedule_goes_on():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = LinearWithWarmup(optimizer, total_steps=10)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    fresh = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    again = LinearWithWarmup(fresh, total_steps=10)
    again.load_state_dict(schedule.state_dict())
    fresh.step()
    again.step()
    assert fresh.param_groups[0]["lr"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: ConstantWithWarmup(o, warmup_steps=-1), "warmup_steps must be at least 0"),
        (lambda o: LinearWithWarmup(o, total_steps=5, warmup_steps=5), r"total_steps must be above warmup_steps \(5\)"),
        (lambda o: CosineWithWarmup(o, total_steps=5, final_fraction=2), "final_fraction must lie in"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(UserError, match=message):
        rates(make, 1)
