import math

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.qstar.losses import IPO, Hinge, Sigmoid

MARGINS = torch.tensor([2.0, -1.0], dtype=torch.float64)
BETA = 0.5


def sigmoid(x: float) -> float:
    return math.log1p(math.exp(-x))


def hinge(x: float) -> float:
    return max(0.0, 1.0 - x)


def ipo(x: float) -> float:
    return (x / BETA - 1 / (2 * BETA)) ** 2


@pytest.mark.parametrize(("loss", "formula"), [(Sigmoid, sigmoid), (Hinge, hinge), (IPO, ipo)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_values_with_label_smoothing(loss, formula, smoothing):
    """Each formula is of β·m; smoothing mixes in the loss of the flipped label, for every loss alike."""
    expected = [(1 - smoothing) * formula(BETA * m) + smoothing * formula(-BETA * m) for m in MARGINS.tolist()]
    assert loss(label_smoothing=smoothing)(MARGINS, BETA).tolist() == pytest.approx(expected, abs=1e-12)


def test_hand_computed_numbers():
    # β m = 1: log(1 + e^-1) = 0.313262; hinge 0; IPO (2 − 1)² = 1.  β m = −0.5: log(1 + e^0.5) = 0.974077; 1.5; 4.
    assert Sigmoid()(MARGINS, BETA).tolist() == pytest.approx([0.313262, 0.974077], abs=1e-6)
    assert Hinge()(MARGINS, BETA).tolist() == pytest.approx([0.0, 1.5])
    assert IPO()(MARGINS, BETA).tolist() == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("loss", [Sigmoid(label_smoothing=0.2), Hinge(label_smoothing=0.2), IPO(label_smoothing=0.2)])
def test_gradcheck_also_for_a_beta_per_pair(loss):
    margins = torch.tensor([2.1, -1.3, 0.4], dtype=torch.float64, requires_grad=True)
    beta = torch.tensor([0.3, 0.7, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, b: loss(m, b), (margins, beta))


def test_sigmoid_does_not_overflow():
    assert Sigmoid()(torch.tensor([-1e4, 1e4]), 1.0).tolist() == [1e4, 0.0]


@pytest.mark.parametrize("value", [-0.1, 0.5])
def test_label_smoothing_out_of_range(value):
    with pytest.raises(UserError, match=rf"label_smoothing must lie in \[0, 0.5\), got {value}"):
        Sigmoid(label_smoothing=value)
