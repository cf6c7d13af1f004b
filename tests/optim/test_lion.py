import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.optim import Lion


def slow_lion(weights, gradients, lr, beta1, beta2, decay):
    """Algorithm 2 of the paper, one number at a time."""
    weights, momenta = list(weights), [0.0] * len(weights)
    for step in gradients:
        for i, g in enumerate(step):
            c = beta1 * momenta[i] + (1 - beta1) * g
            sign = (c > 0) - (c < 0)
            weights[i] = weights[i] - lr * (sign + decay * weights[i])
            momenta[i] = beta2 * momenta[i] + (1 - beta2) * g
    return weights


def test_steps_are_the_papers():
    torch.manual_seed(0)
    start = torch.randn(7, dtype=torch.float64)
    gradients = torch.randn(9, 7, dtype=torch.float64)
    gradients[:, 3] = 0.0  # sign(0) is 0: the weight only decays
    parameter = torch.nn.Parameter(start.clone())
    optimizer = Lion([parameter], lr=0.05, direction_beta=0.8, momentum_beta=0.95, weight_decay=0.3)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    expected = slow_lion(start.tolist(), gradients.tolist(), 0.05, 0.8, 0.95, 0.3)
    assert parameter.tolist() == pytest.approx(expected, abs=1e-12)


def test_groups_have_their_own_rate_and_state_survives_a_checkpoint():
    first, second = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    optimizer = Lion([{"params": [first]}, {"params": [second], "lr": 0.5}], lr=0.1)
    first.grad, second.grad = torch.ones(2), -torch.ones(2)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert first.tolist() == pytest.approx([-0.1, -0.1])
    assert second.tolist() == pytest.approx([0.5, 0.5])
    again = Lion([{"params": [first]}, {"params": [second], "lr": 0.5}], lr=0.1)
    again.load_state_dict(optimizer.state_dict())
    torch.testing.assert_close(again.state[first]["momentum"], torch.full((2,), 0.01))


def test_a_parameter_without_gradient_stays():
    idle = torch.nn.Parameter(torch.ones(1))
    Lion([idle], lr=0.1, weight_decay=1.0).step()
    assert idle.item() == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be positive, got 0"),
        ({"direction_beta": 1.0}, "direction_beta must lie"),
        ({"momentum_beta": -0.1}, "momentum_beta must lie"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        Lion([torch.nn.Parameter(torch.zeros(1))], **options)
