import math

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.methods.strategies.beta_head import BetaHead, ReLU, Sigmoid, Softplus

ALL = [Sigmoid(), Softplus(), ReLU()]


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("scale", [1.0, 10.0])
@pytest.mark.parametrize("fixed", [True, False])
def test_beta_starts_where_it_was_told_and_can_move(activation, scale, fixed):
    head = BetaHead(5, activation, initial=0.1, minimum=0.01, scale=scale, fixed=fixed)
    states = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    betas = head(states)
    assert betas.tolist() == pytest.approx([0.1] * 3, rel=1e-5)
    gradients = torch.autograd.grad(betas[0], list(head.parameters()))
    assert len(gradients) == (1 if fixed else 2)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Sigmoid(), 1 / (1 + math.exp(-1.7))),
        (Softplus(), math.log1p(math.exp(1.7))),
        (ReLU(), 1.7),
    ],
)
def test_beta_is_the_formula_of_the_state_at_length_one(activation, expected):
    head = BetaHead(2, activation, initial=0.5, minimum=0.2, scale=3.0, fixed=False)
    with torch.no_grad():
        head.bias.fill_(1.1)
        head.weight.copy_(torch.tensor([1.0, 0.0]))
    for length in (1.0, 100.0):
        assert head(torch.tensor([[0.6, 0.8]]) * length).item() == pytest.approx(0.2 + 3.0 * expected, rel=1e-5)


@pytest.mark.parametrize("activation", ALL)
def test_a_beta_that_the_activation_cannot_reach_is_refused(activation):
    with pytest.raises(UserError, match="initial_beta must"):
        activation.inverse(0.0)
    for reachable in (1e-3, 0.5, 0.999):
        assert float(activation(torch.tensor(activation.inverse(reachable)))) == pytest.approx(reachable, rel=1e-4)


def test_sigmoid_has_a_ceiling():
    with pytest.raises(UserError, match="between beta_min and beta_min \\+ beta_scale"):
        Sigmoid().inverse(1.0)
