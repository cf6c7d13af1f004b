import math

import pytest
import torch

from qstar_pl.rollout.divergence import divergence


def slow(p: list[float], q: list[float]) -> tuple[float, float, float]:
    kl = sum(b * math.log(b / a) if a > 0 else math.inf for a, b in zip(p, q, strict=True) if b > 0)
    missed = any(a > 0 and b == 0 for a, b in zip(p, q, strict=True))
    ess = 0.0 if missed else 1 / sum(a * a / b for a, b in zip(p, q, strict=True) if a > 0)
    return kl, ess, sum(a for a, b in zip(p, q, strict=True) if b == 0)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.2, 0.3, 0.5], [0.6, 0.3, 0.1]),
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([0.2, 0.3, 0.5], [0.7, 0.3, 0.0]),  # q is truncated
        ([0.0, 0.5, 0.5], [0.0, 0.9, 0.1]),  # a token that neither has
        ([0.0, 0.5, 0.5], [0.2, 0.4, 0.4]),  # q has what p has not
        ([0.0, 0.5, 0.5], [0.5, 0.5, 0.0]),
        ([1e-30, 0.5, 0.5], [1e-36, 0.5, 0.5]),
    ],
)
def test_by_hand(p: list[float], q: list[float]) -> None:
    expected = slow(p, q)
    law = torch.tensor([q, [0.1, 0.2, 0.7]]).log()
    found = divergence(torch.tensor([p, [0.1, 0.2, 0.7]]).log(), law, law.softmax(-1))
    for value, wanted, at_home in zip(found, expected, (0.0, 1.0, 0.0), strict=True):
        assert value[0] == pytest.approx(wanted, rel=1e-5, abs=1e-6)
        assert value[1] == pytest.approx(at_home, abs=1e-6)


def test_at_the_size_of_a_real_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    model = torch.randn(4, 50257, generator=generator).mul_(3).log_softmax(-1)
    law = (model + torch.randn(4, 50257, generator=generator) * 0.3).log_softmax(-1)
    found = divergence(model, law, law.softmax(-1))
    p, q = model.double(), law.double()
    torch.testing.assert_close(found.kl.double(), (q.exp() * (q - p)).sum(-1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.ess.double(), (2 * p - q).exp().sum(-1).reciprocal(), rtol=1e-5, atol=1e-6)
    assert not found.uncovered.any()


def test_mass_too_small_to_show_still_makes_the_weights_miss_it() -> None:
    model = torch.tensor([[0.0, -200.0]])
    law = torch.tensor([[0.0, -torch.inf]])
    found = divergence(model, law, law.softmax(-1))
    assert found.uncovered.item() == 0
    assert found.ess.item() == 0


def test_the_arguments_are_not_written_to() -> None:
    model, law = torch.randn(2, 2, 9).log_softmax(-1)
    probs = law.softmax(-1)
    before = [x.clone() for x in (model, law, probs)]
    divergence(model, law, probs)
    assert all(torch.equal(a, b) for a, b in zip((model, law, probs), before, strict=True))


def test_autocast_leaves_it_in_single_precision() -> None:
    """A rollout is drawn inside the training step, whose autocast takes a dot product for a matrix product."""
    law = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    model = torch.randn(3, 50, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    expected = divergence(model, law, law.softmax(-1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = divergence(model, law, law.softmax(-1))
    for value, wanted in zip(found, expected, strict=True):
        assert torch.equal(value, wanted)
