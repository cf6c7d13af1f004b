import math

import pytest
import torch
from reference import mixtures
from reference.pairs import random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar import geometric_mixture, kl_divergence, mixture_kls


def test_matches_probability_sums() -> None:
    p, q = random_pair(5, 40)
    expected = [mixtures.kl(a, b) for a, b in zip(*map(mixtures.as_probabilities, (p, q)), strict=True)]
    torch.testing.assert_close(kl_divergence(p, q), torch.tensor(expected, dtype=torch.float64))


def test_gaussian_closed_form() -> None:
    # D(N(0, 1) ‖ N(m, s²)) = log s + (1 + m²)/(2 s²) − ½, on a grid fine enough that the sum is the integral.
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    p, q = (-0.5 * x**2).log_softmax(-1), (-0.5 * ((x - 0.7) / 1.3) ** 2).log_softmax(-1)
    expected = math.log(1.3) + (1 + 0.7**2) / (2 * 1.3**2) - 0.5
    assert abs(kl_divergence(p, q).item() - expected) < 1e-6


def test_support() -> None:
    half = math.log(0.5)
    p = torch.tensor([[half, half, -torch.inf], [half, half, -torch.inf], [0.0, -200.0, -torch.inf]])
    q = torch.tensor([[half, -torch.inf, half], [half, half, -torch.inf], [0.0, -torch.inf, -torch.inf]])
    # Row 3: exp(-200) is 0 in float32, but the token is there and q cannot produce it.
    assert kl_divergence(p, q).tolist() == [math.inf, 0.0, math.inf]


def test_half_precision_is_computed_in_float32() -> None:
    p, q = random_pair(3, 50, dtype=torch.bfloat16)
    assert kl_divergence(p, q).dtype == torch.float32
    torch.testing.assert_close(kl_divergence(p, q), kl_divergence(p.float(), q.float()))


def test_gradient() -> None:
    a, b = (x.requires_grad_() for x in random_pair(2, 6))
    assert torch.autograd.gradcheck(lambda a, b: kl_divergence(a.log_softmax(-1), b.log_softmax(-1)), (a, b))


def test_mixture_kls_from_the_gap() -> None:
    policy, target = random_pair(4, 30)
    alpha = torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)
    mixture = geometric_mixture(policy, target, alpha)
    expected = kl_divergence(mixture.logprobs, policy), kl_divergence(mixture.logprobs, target)
    torch.testing.assert_close(mixture_kls(alpha, expected[0] - expected[1], mixture.log_z), expected)


def test_what_is_no_distribution_is_refused() -> None:
    good = torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log()
    nan = good.index_fill(0, torch.tensor([1]), torch.nan)
    for wrong in (torch.tensor([[0.5, 0.5], [0.5, 0.3]]).log(), nan, good - torch.tensor([[0.0], [3.0]])):
        with pytest.raises(UserError, match=r"p_logprobs must be log-probabilities .* in row 1$"):
            kl_divergence(wrong, good)
        with pytest.raises(UserError, match=r"q_logprobs must be log-probabilities .* in row 1$"):
            kl_divergence(good, wrong)
