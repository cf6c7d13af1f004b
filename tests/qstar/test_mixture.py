import numpy as np
import pytest
import torch
from reference import mixtures
from reference.pairs import random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar import DisjointSupportError, geometric_mixture


def test_matches_powers_of_probabilities() -> None:
    policy, target = random_pair(6, 40)
    alpha = torch.tensor([0.05, 0.2, 0.5, 0.7, 0.9, 0.99], dtype=torch.float64)
    mixture = geometric_mixture(policy, target, alpha)
    for row, (p, t) in enumerate(zip(*map(mixtures.as_probabilities, (policy, target)), strict=True)):
        q, z = mixtures.mixture(p, t, alpha[row].item())
        np.testing.assert_allclose(mixture.logprobs[row].exp(), q, rtol=1e-10)
        assert abs(mixture.log_z[row].item() - np.log(z)) < 1e-12
    assert bool((mixture.log_z < 0).all())


def test_gaussian_closed_form() -> None:
    # N(0, 1)^α N(m, 1)^(1−α) is N((1−α) m, 1) with log Z = −α (1−α) m²/2.
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    policy, target = (-0.5 * x**2).log_softmax(-1), (-0.5 * (x - 2) ** 2).log_softmax(-1)
    mixture = geometric_mixture(policy, target, 0.3)
    assert abs((mixture.logprobs.exp() * x).sum().item() - 0.7 * 2) < 1e-6
    assert abs(mixture.log_z.item() + 0.3 * 0.7 * 2) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_ends_are_bitwise_the_arguments(dtype: torch.dtype) -> None:
    policy, target = random_pair(3, 20, dtype=dtype)
    policy[:, :4], target[:, 2:6] = -torch.inf, -torch.inf
    wide = torch.promote_types(dtype, torch.float32)
    mixture = geometric_mixture(policy, target, torch.tensor([0.0, 1.0, 0.4]))
    assert torch.equal(mixture.logprobs[0], target[0].to(wide))
    assert torch.equal(mixture.logprobs[1], policy[1].to(wide))
    assert mixture.log_z[:2].tolist() == [0.0, 0.0]
    assert mixture.logprobs[2, :6].isneginf().all()
    torch.testing.assert_close(mixture.logprobs[2].exp().sum(), torch.ones((), dtype=wide))


def test_ends_are_limits() -> None:
    policy, target = random_pair(3, 20)
    for alpha, limit in ((1e-9, target), (1 - 1e-9, policy)):
        torch.testing.assert_close(geometric_mixture(policy, target, alpha).logprobs, limit, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(7,), (0, 7), (2, 7), (2, 3, 7), (2, 0, 7)])
def test_shapes(shape: tuple[int, ...]) -> None:
    policy, target = random_pair(*shape)
    mixture = geometric_mixture(policy, target, torch.full(shape[:-1], 0.3, dtype=torch.float64))
    assert mixture.logprobs.shape == shape
    assert mixture.log_z.shape == shape[:-1]
    torch.testing.assert_close(mixture.logprobs, geometric_mixture(policy, target, 0.3).logprobs)


def test_gradient() -> None:
    policy, target = random_pair(3, 6)
    alpha = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)

    def both(policy: torch.Tensor, target: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixture = geometric_mixture(policy, target, alpha)
        return mixture.logprobs, mixture.log_z

    assert torch.autograd.gradcheck(both, tuple(x.requires_grad_() for x in (policy, target, alpha)))


def test_gradient_in_alpha_beside_tokens_of_probability_0() -> None:
    policy, target = (x[0].clone() for x in random_pair(1, 6))
    policy[0] = policy[4] = target[4] = target[5] = -torch.inf
    policy, target = policy.log_softmax(-1), target.log_softmax(-1)
    held = torch.tensor([1, 2, 3])

    def inside(alpha: torch.Tensor, common: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixture = geometric_mixture(policy.index_copy(0, held, common), target, alpha)
        return mixture.logprobs[held], mixture.log_z

    alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    common = policy[held].clone().requires_grad_()
    assert torch.autograd.gradcheck(inside, (alpha, common))
    # Λ'(α) in closed form, and nothing is NaN where the whole row is differentiated.
    mixture = geometric_mixture(policy, target, alpha)
    (slope,) = torch.autograd.grad(mixture.log_z, alpha, retain_graph=True)
    q = mixture.logprobs[held].exp()
    torch.testing.assert_close(slope, (q * (policy - target)[held]).sum().detach())
    (whole,) = torch.autograd.grad(mixture.logprobs.exp().square().sum(), alpha)
    assert bool(whole.isfinite())


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_gradient_in_alpha_of_a_batch_with_an_end(end: float) -> None:
    policy, target = (x.clone() for x in random_pair(2, 5))
    policy[:, 0] = target[:, 1] = -torch.inf
    policy, target = policy.log_softmax(-1), target.log_softmax(-1)
    alpha = torch.tensor([end, 0.4], dtype=torch.float64, requires_grad=True)
    mixture = geometric_mixture(policy, target, alpha)
    (grad,) = torch.autograd.grad(mixture.logprobs.exp().square().sum() + mixture.log_z.sum(), alpha)
    assert bool(grad.isfinite().all())


def test_arguments_are_left_alone() -> None:
    policy, target = random_pair(3, 6)
    before = policy.clone(), target.clone()
    geometric_mixture(policy, target, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(policy, before[0])
    assert torch.equal(target, before[1])


def test_errors() -> None:
    policy, target = random_pair(2, 6)
    for alpha in (1.5, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"alpha must lie in \[0, 1\]"):
            geometric_mixture(policy, target, alpha)
    policy[1, :3], target[1, 3:] = -torch.inf, -torch.inf
    with pytest.raises(DisjointSupportError, match="row 1") as caught:
        geometric_mixture(policy, target, 0.5)
    assert caught.value.rows == ((1,),)
    assert torch.equal(geometric_mixture(policy, target, 1.0).logprobs, policy)
