"""Without a look at any value the solvers find what they find with one, row by row and bit for bit."""

from dataclasses import fields

import pytest
import torch
from reference.pairs import certain_pair, pair_families
from torch import Tensor

from qstar_pl.qstar import (
    AlphaSolution,
    AlphaStatus,
    Mixture,
    bisect_kl_symmetry,
    mix_kl_symmetric,
    solve_ess_balance,
    solve_kl_symmetry,
    solve_snr,
)
from qstar_pl.qstar.deferred import Deferred

SOLVERS = {"kl": solve_kl_symmetry, "ess": solve_ess_balance, "snr": solve_snr, "bisection": bisect_kl_symmetry}


def noted(call, *args, **options):
    deferred = Deferred()
    rows = torch.arange(len(args[0]))
    with deferred.token(0, rows, torch.ones_like(rows, dtype=torch.bool)):
        found = call(*args, normalised=True, **options)
    deferred.read()
    return found


def pairs(dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
    """All families, and one batch of rows of different kinds: full, cut, identical, one-sided, almost certain."""
    known = {
        name: (policy.to(dtype).log_softmax(-1), target.to(dtype).log_softmax(-1))
        for name, (policy, target) in pair_families(9, 100).items()
    }
    few = {name: (policy[:2], target[:2]) for name, (policy, target) in known.items()}
    few["same"] = (few["lm_0.1"][0], few["lm_0.1"][0])
    cut = few["lm_1.0"][0].clone()
    cut[:, 20:] = -torch.inf
    few["inside"], few["around"] = (cut.log_softmax(-1), few["lm_1.0"][1]), (few["lm_1.0"][1], cut.log_softmax(-1))
    mixed = torch.cat([policy for policy, _ in few.values()]), torch.cat([target for _, target in few.values()])
    sure = (logits.to(dtype).log_softmax(-1) for logits in certain_pair(17.0, vocab=100))
    return {**known, "mixed": mixed, "sure": tuple(sure)}  # type: ignore[dict-item]


def same(one: AlphaSolution | Mixture, other: AlphaSolution | Mixture, done: Tensor) -> None:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(a[done], b[done]), field.name


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_solutions_are_equal(solver: str, dtype: torch.dtype) -> None:
    statuses = set()
    for name, (policy, target) in pairs(dtype).items():
        one = SOLVERS[solver](policy, target, normalised=True)
        other = noted(SOLVERS[solver], policy, target)
        assert other.converged.all(), name
        same(one, other, one.converged)
        statuses |= set(one.status.tolist())
    assert statuses >= {AlphaStatus.OK, AlphaStatus.IDENTICAL}
    assert (AlphaStatus.BOUNDARY in statuses) == (solver != "ess")


@pytest.mark.parametrize("on_disjoint", ["policy", "target"])
def test_mixtures_are_equal_and_disjoint_rows_fall_back(on_disjoint: str) -> None:
    for policy, target in pairs(torch.float32).values():
        policy, target = policy.clone(), target.clone()
        policy[0, :50], target[0, 50:] = -torch.inf, -torch.inf
        policy, target = policy.log_softmax(-1), target.log_softmax(-1)
        one, mixture = mix_kl_symmetric(policy, target, normalised=True, on_disjoint=on_disjoint)
        other, other_mixture = noted(mix_kl_symmetric, policy, target, on_disjoint=on_disjoint)
        assert one.status[0] == AlphaStatus.DISJOINT
        everything = torch.ones_like(one.converged)
        same(one, other, everything)
        same(mixture, other_mixture, everything)


def test_half_precision_is_solved_in_float32() -> None:
    policy, target = (logprobs.bfloat16() for logprobs in pairs(torch.float32)["lm_1.0"])
    same(solve_kl_symmetry(policy, target), noted(solve_kl_symmetry, policy, target), torch.ones(9, dtype=torch.bool))
