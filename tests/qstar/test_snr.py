import pytest
import torch
from reference import mixtures
from reference.pairs import random_pair

from qstar_pl.qstar import AlphaStatus, geometric_mixture, snr_alpha, solve_snr


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_dense_grid(scale: float) -> None:
    policy, target = random_pair(4, 12, seed=2, scale=scale)
    solution = solve_snr(policy, target, tol=1e-8)
    best = mixtures.grid_minimum(mixtures.second_moment, policy, target, 1000)
    torch.testing.assert_close(solution.alpha, best, atol=1e-3, rtol=0)
    assert bool(solution.converged.all())
    ends = (solution.alpha == 0) | (solution.alpha == 1)
    assert torch.equal(ends, solution.status == AlphaStatus.BOUNDARY)


def test_is_the_variance_of_the_sampled_gradient() -> None:
    # M(α) against samples of the weighted score, at two exponents.
    policy, target = random_pair(1, 6, seed=5, scale=0.8)
    p, t = (mixtures.as_probabilities(x)[0] for x in (policy, target))
    for alpha in (0.2, 0.8):
        q = geometric_mixture(policy[0], target[0], alpha).logprobs
        y = torch.multinomial(q.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(1))
        weight = (policy[0] - q).exp()[y] * (target[0] - policy[0])[y]
        score = torch.eye(6, dtype=torch.float64)[y] - policy[0].exp()
        sampled = (weight[:, None] * score).square().sum(-1).mean().item()
        assert abs(sampled / mixtures.second_moment(p, t, alpha) - 1) < 0.02


def test_statuses_and_shapes() -> None:
    policy, target = random_pair(2, 3, 9, dtype=torch.float32)
    target[0, 0] = policy[0, 0]
    policy[1, 2] = policy[1, 2].index_fill(0, torch.arange(2), -torch.inf).log_softmax(-1)
    solution = solve_snr(policy, target)
    assert solution.status[0, 0] == AlphaStatus.IDENTICAL
    assert solution.alpha[0, 0] == 0.5
    assert not bool(solution.alpha.isnan().any())
    assert torch.equal(snr_alpha(policy, target), solution.alpha)
    assert solve_snr(*random_pair(0, 9)).alpha.shape == (0,)


def test_boundary() -> None:
    # A token that the policy seldom and the target often produces: the more of the target, the better.
    policy, target = torch.tensor([0.98, 0.01, 0.01]).log(), torch.tensor([0.979, 0.0105, 0.0105]).log()
    moments = [
        mixtures.second_moment(*(x.exp().double().numpy() for x in (policy, target)), a) for a in (0.01, 0.5, 0.99)
    ]
    assert moments == sorted(moments) or moments == sorted(moments, reverse=True)
    solution = solve_snr(policy, target)
    assert solution.status == AlphaStatus.BOUNDARY
    assert solution.alpha == (0.0 if moments[0] < moments[2] else 1.0)
