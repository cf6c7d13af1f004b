import math

import pytest
import torch

from qstar_pl.qstar.losses import bradley_terry_loss


def test_hand_computed():
    loss = bradley_terry_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]))
    assert loss.tolist() == pytest.approx([math.log1p(math.exp(-1)), math.log1p(math.exp(2))], rel=1e-6)


def test_only_differences_matter_and_gradcheck():
    a = torch.randn(3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(bradley_terry_loss(a + 5, b + 5), bradley_terry_loss(a, b))
    assert torch.autograd.gradcheck(bradley_terry_loss, (a, b))
