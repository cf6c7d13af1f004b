from itertools import pairwise

import pytest
import torch
from reference import mixtures
from reference.pairs import certain_pair, pair_families, random_pair

from qstar_pl.qstar import (
    AlphaStatus,
    DisjointSupportError,
    ess,
    geometric_mixture,
    log_ess,
    solve_ess_balance,
    solve_kl_symmetry,
)

FAMILIES = pair_families(3, 300)
FULL = sorted(name for name in FAMILIES if not name.startswith(("mask", "near", "onehot_same")))


@pytest.mark.parametrize("name", FULL)
def test_finds_the_root(name: str) -> None:
    policy, target = FAMILIES[name]
    solution = solve_ess_balance(policy, target, tol=1e-10)
    assert bool(solution.converged.all())
    assert int(solution.iterations.max()) <= 8
    torch.testing.assert_close(solution.alpha, mixtures.root(mixtures.log_ess_ratio, policy, target), atol=1e-7, rtol=0)
    mixture = geometric_mixture(policy, target, solution.alpha)
    torch.testing.assert_close(ess(policy, mixture.logprobs), ess(target, mixture.logprobs), atol=1e-8, rtol=0)
    torch.testing.assert_close(solution.log_z, mixture.log_z)
    rows = zip(
        mixtures.as_probabilities(policy), mixtures.as_probabilities(target), solution.alpha.tolist(), strict=True
    )
    gaps = torch.tensor([mixtures.kl_gap(p, t, a) for p, t, a in rows], dtype=torch.float64)
    torch.testing.assert_close(solution.kl_gap, gaps, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_float32(name: str) -> None:
    policy, target = (x.float() for x in FAMILIES[name])
    solution = solve_ess_balance(policy, target)
    assert bool(solution.converged.all())
    common = (policy > -torch.inf) & (target > -torch.inf)
    policy, target = (x.double().masked_fill(~common, -torch.inf).log_softmax(-1) for x in (policy, target))
    exact = solve_ess_balance(policy, target, tol=1e-10)
    torch.testing.assert_close(solution.alpha.double(), exact.alpha, atol=1e-3, rtol=0)
    q = geometric_mixture(policy, target, exact.alpha).logprobs
    assert (log_ess(policy, q) - log_ess(target, q)).abs().max() < 1e-8


@pytest.mark.parametrize("peak", [8.0, 14.0, 20.0, 40.0])
def test_float32_where_both_are_nearly_certain(peak: float) -> None:
    policy, target = (x.double() for x in certain_pair(peak))
    exact = solve_ess_balance(policy.log_softmax(-1), target.log_softmax(-1), tol=1e-10).alpha
    found = solve_ess_balance(*(x.float().log_softmax(-1) for x in (policy, target)))
    torch.testing.assert_close(found.alpha.double(), exact, atol=5e-3, rtol=0)
    assert (exact - 0.5).abs().max() > 0.03


def test_the_root_is_unique() -> None:
    for p, t in zip(*map(mixtures.as_probabilities, random_pair(4, 30)), strict=True):
        ratios = [mixtures.log_ess_ratio(p, t, alpha) for alpha in torch.linspace(0.001, 0.999, 200).tolist()]
        assert all(a < b for a, b in pairwise(ratios))
        assert ratios[0] < 0 < ratios[-1]


def test_kl_symmetry_is_another_point() -> None:
    policy, target = FAMILIES["sharp_vs_flat"]
    q = geometric_mixture(policy, target, solve_kl_symmetry(policy, target).alpha).logprobs
    assert bool((ess(policy, q) / ess(target, q) > 1.5).all())
    close, other = FAMILIES["lm_0.1"]
    q = geometric_mixture(close, other, solve_kl_symmetry(close, other).alpha).logprobs
    torch.testing.assert_close(ess(close, q), ess(other, q), rtol=0.02, atol=0)


def test_statuses() -> None:
    policy = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]]).log()
    target = torch.tensor([[0.1, 0.1, 0.8], [0.2, 0.3, 0.5], [0.1, 0.0, 0.9]]).log()
    solution = solve_ess_balance(policy, target)
    # Row 0: on the common support both are uniform, so that every α balances; row 2 has a root there.
    assert solution.status.tolist() == [AlphaStatus.OK, AlphaStatus.IDENTICAL, AlphaStatus.OK]
    assert solution.alpha[:2].tolist() == [0.5, 0.5]
    pair = torch.stack([policy[2, [0, 2]], target[2, [0, 2]]]).log_softmax(-1)
    torch.testing.assert_close(solution.alpha[2], solve_ess_balance(pair[0], pair[1]).alpha)
    target[2] = torch.tensor([-torch.inf, 0.0, -torch.inf])
    policy[2] = torch.tensor([0.6, 0.0, 0.4]).log()
    with pytest.raises(DisjointSupportError, match="row 2"):
        solve_ess_balance(policy, target)
    assert solve_ess_balance(policy, target, on_disjoint="policy").alpha[2] == 1


@pytest.mark.parametrize("shape", [(7,), (0, 7), (2, 3, 7)])
def test_shapes_and_limit(shape: tuple[int, ...]) -> None:
    solution = solve_ess_balance(*random_pair(*shape), tol=1e-30, max_iter=3)
    assert {tuple(value.shape) for value in vars(solution).values()} == {shape[:-1]}
    assert bool((solution.iterations <= 3).all())
