import pytest
import torch
from reference.pairs import certain_pair, random_pair

from qstar_pl.qstar.tilt import cumulants, excess


def test_derivatives_of_the_log_partition_function() -> None:
    policy, target = random_pair(3, 20)
    direction = policy - target
    alpha = torch.tensor([-0.5, 0.3, 1.7], dtype=torch.float64, requires_grad=True)
    log_z = (target + alpha[:, None] * direction).logsumexp(-1)
    derivatives = [log_z]
    for _ in range(3):
        (derivative,) = torch.autograd.grad(derivatives[-1].sum(), alpha, create_graph=True)
        derivatives.append(derivative)
    found = cumulants(target, direction, alpha.detach())
    for value, expected in zip((found.log_z, found.mean, found.variance, found.third), derivatives, strict=True):
        torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(found.rms**2, found.variance + found.mean**2)


def test_tokens_outside_the_support_do_not_count() -> None:
    policy, target = random_pair(2, 10)
    wide = torch.cat([target, torch.full((2, 3), -torch.inf)], -1)
    direction = torch.cat([policy - target, torch.zeros(2, 3)], -1)
    alpha = torch.tensor([0.2, 0.9], dtype=torch.float64)
    for name, value in vars(cumulants(wide, direction, alpha)).items():
        torch.testing.assert_close(value, getattr(cumulants(target, policy - target, alpha), name))


@pytest.mark.parametrize("peak", [0.0, 2.0, 12.0, 30.0, 80.0])
def test_excess_is_the_sum_but_for_1(peak: float) -> None:
    # log-probabilities in float32: exact but for the mode's, which is rounded to 6e-8.
    logits, _ = certain_pair(peak)
    logprobs = logits.log_softmax(-1)
    found, others = excess(logprobs)
    terms = logprobs.double().sort(-1).values
    mode = terms[:, -1].exp() > 0.5
    rest = torch.where(mode, terms[:, :-1].exp().sum(-1), terms.exp().sum(-1))
    expected = torch.where(mode, torch.expm1(terms[:, -1]) + terms[:, :-1].exp().sum(-1), terms.exp().sum(-1) - 1)
    torch.testing.assert_close(others.double(), rest, rtol=3e-6, atol=1e-37)
    assert bool(((found.double() - expected).abs() <= 4e-7 * rest).all())


def test_excess_of_anything() -> None:
    exponents = torch.tensor([[0.3, 2.0, -1.0], [3.0, -4.0, -torch.inf], [-2.0, -3.0, -5.0]], dtype=torch.float64)
    torch.testing.assert_close(excess(exponents)[0], exponents.exp().sum(-1) - 1)
