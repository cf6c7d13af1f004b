import pytest
import torch
from reference import gae as reference

from qstar_pl.qstar.gae import generalized_advantages


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (0.99, 0.0)])
def test_equals_the_definition_row_by_row(gamma, lam):
    torch.manual_seed(0)
    lengths = [5, 1, 3]
    rewards, values = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    advantages = generalized_advantages(rewards, values, mask, gamma=gamma, lam=lam)
    for row, length in enumerate(lengths):
        expected = reference.advantages(rewards[row, :length].tolist(), values[row, :length].tolist(), gamma, lam)
        assert advantages[row, :length].tolist() == pytest.approx(expected, abs=1e-12)
    assert (advantages[~mask] == 0).all()


def test_hand_computed():
    # λ = γ = 1: return to go minus value. Rewards 0, 0, 1 and values .5, .6, .7.
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.6, 0.7]])
    advantages = generalized_advantages(rewards, values, torch.ones(1, 3, dtype=torch.bool), lam=1.0)
    assert advantages[0].tolist() == pytest.approx([0.5, 0.4, 0.3], abs=1e-6)


def test_pads_change_nothing_even_when_they_hold_garbage():
    rewards, values = torch.randn(2, 4), torch.randn(2, 4)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    plain = generalized_advantages(rewards, values, mask)
    garbage = torch.full((2, 50), torch.nan)
    padded = generalized_advantages(
        torch.cat([rewards, garbage], 1), torch.cat([values, garbage], 1), torch.cat([mask, garbage > 0], 1)
    )
    torch.testing.assert_close(padded[:, :4], plain)


def test_no_gradient_flows_into_the_values():
    values = torch.randn(1, 3, requires_grad=True)
    advantages = generalized_advantages(torch.randn(1, 3), values, torch.ones(1, 3, dtype=torch.bool))
    assert not advantages.requires_grad
