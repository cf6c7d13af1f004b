import math

import pytest
import torch

from qstar_pl.qstar.losses.clipped import clipped_policy_loss, clipped_value_loss


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "clipped"),
    [
        (1.0, 2.0, -2.0, False),
        (1.5, 2.0, -2.4, True),  # gain beyond 1 + ε is not rewarded
        (0.5, 2.0, -1.0, False),  # a worse ratio keeps its gradient
        (0.5, -1.0, 0.8, True),
        (1.5, -1.0, 1.5, False),
    ],
)
def test_policy_loss_by_hand(ratio, advantage, expected, clipped):
    loss, mask = clipped_policy_loss(torch.tensor([math.log(ratio)]), torch.tensor([advantage]), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert bool(mask) is clipped


def test_no_gradient_where_clipped():
    log_ratio = torch.tensor([math.log(1.5), math.log(0.5)], requires_grad=True)
    clipped_policy_loss(log_ratio, torch.tensor([1.0, 1.0]), 0.2)[0].sum().backward()
    assert log_ratio.grad.tolist() == pytest.approx([0.0, -0.5])


def test_gradient_at_ratio_one_is_the_policy_gradient():
    log_ratio = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    clipped_policy_loss(log_ratio, advantages, 0.2)[0].sum().backward()
    torch.testing.assert_close(log_ratio.grad, -advantages)


def test_value_loss_by_hand():
    values, old, returns = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0]), torch.tensor([2.0, 3.0])
    # Clipped values are 0.5 and 0.5: ½ max((1−2)², (0.5−2)²) = 1.125; ½ max(0, (0.5−3)²) = 3.125.
    assert clipped_value_loss(values, old, returns, 0.5).tolist() == pytest.approx([1.125, 3.125])
    assert clipped_value_loss(values, old, returns, None).tolist() == pytest.approx([0.5, 0.0])


def test_gradcheck():
    log_ratio = torch.tensor([0.1, -0.15, 0.5], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: clipped_policy_loss(x, advantages, 0.2)[0], log_ratio)
    values = torch.tensor([0.3, 1.7], dtype=torch.float64, requires_grad=True)
    old, returns = torch.tensor([0.2, 0.9], dtype=torch.float64), torch.tensor([1.0, 1.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: clipped_value_loss(v, old, returns, 0.2), values)
