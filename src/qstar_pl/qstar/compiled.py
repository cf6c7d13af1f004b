"""KL symmetry with its first pass compiled: one graph for the pass, the arithmetic on numbers, and the mixture."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.qstar.checks import SLACK, at_least_float32
from qstar_pl.qstar.deferred import current
from qstar_pl.qstar.kl_symmetry import KLSymmetryProblem, mix_kl_symmetric
from qstar_pl.qstar.mixture import Mixture
from qstar_pl.qstar.root import move
from qstar_pl.qstar.solution import AlphaSolution, AlphaStatus
from qstar_pl.qstar.solve import OnDisjoint, check, finish
from qstar_pl.qstar.static import choose

LEAST_SLOPE = 1e-7
"""Var_q(log π_θ/π_t) from which on a compiled pass is exact enough, nats²."""


class Passed(NamedTuple):
    """What a pass at α = ½ says of rows of full support, [rows] each."""

    alpha: Tensor
    kl_gap: Tensor
    log_z: Tensor
    """Summed at `alpha`."""
    done: Tensor
    """bool: `alpha` is known to the tolerance. Where False nothing is said: it takes another pass, the supports differ,
    all is rounding, or these are no distributions."""
    logprobs: Tensor
    """[rows, V] of the mixture."""


_Pass = Callable[[Tensor, Tensor, float], Passed]


def first_pass(policy: Tensor, target: Tensor, tol: float) -> Passed:
    """Evaluate rows [rows, V] of log-probabilities at ½, step to α*, and mix there."""
    direction = policy - target
    problem = KLSymmetryProblem.build(target, direction)
    zeros = target.new_zeros(target.shape[0])
    plain = problem.evaluate(zeros + 0.5)
    now = choose(problem.wants_sharp(plain, tol), problem.sharpened(problem.sharp(), zeros + 0.5, plain), plain)
    found = move(problem, zeros + 0.5, now, (zeros, zeros + 1), zeros + torch.inf, tol, 1)
    sound_mask = (now.rms < torch.inf) & (found.last.value.abs() < torch.inf) & (found.last.log_z < SLACK)
    # Next to equal certainties Λ' is 1e-12 of rounding wide here, since a compiler sums in another order.
    done = found.converged & found.moved & sound_mask & (now.slope > LEAST_SLOPE)
    exponents = torch.addcmul(target, found.alpha.unsqueeze(-1), direction)
    log_z = exponents.logsumexp(-1)
    return Passed(found.alpha, -found.last.value, log_z, done, exponents - log_z.unsqueeze(-1))


def mix_kl_symmetric_compiled(
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float = 1e-3,
    max_iter: int = 20,
    on_disjoint: OnDisjoint = "raise",
    normalised: bool = False,
) -> tuple[AlphaSolution, Mixture]:
    """Do what `mix_kl_symmetric` does; rows that need more than the compiled pass are solved by it.

    α is the same to well below `tol`: a compiler sums in another order.

    Without a C++ compiler, and where checks are deferred (`qstar.deferred`), it is `mix_kl_symmetric`.
    """
    given = {"tol": tol, "max_iter": max_iter, "on_disjoint": on_disjoint, "normalised": normalised}
    check(policy_logprobs, target_logprobs, tol, max_iter, normalised)
    vocab = policy_logprobs.shape[-1]
    policy, target = (x.detach().reshape(-1, vocab) for x in (policy_logprobs, target_logprobs))
    said = None
    if current() is None and policy.numel() > 0:
        said = _graph(policy.device.type)(_normalized(policy), _normalized(target), tol)
    if said is None:
        return mix_kl_symmetric(policy_logprobs, target_logprobs, **given)  # type: ignore[arg-type]
    alpha, done = said.alpha, said.done
    solution = AlphaSolution(
        alpha=alpha,
        kl_gap=said.kl_gap,
        iterations=torch.ones_like(alpha, dtype=torch.int64),
        converged=torch.ones_like(done),
        status=torch.full_like(alpha, int(AlphaStatus.OK), dtype=torch.int64),
        log_z=said.log_z,
    )
    logprobs = said.logprobs
    rest = (~done).nonzero().squeeze(-1)
    if len(rest) > 0:
        # Disjoint rows are refused below, by their own numbers.
        lenient: OnDisjoint = "target" if on_disjoint == "raise" else on_disjoint
        others, mixture = mix_kl_symmetric(
            policy[rest], target[rest], tol=tol, max_iter=max_iter, on_disjoint=lenient, normalised=normalised
        )
        solution = solution.index_copy(rest, others)
        logprobs = logprobs.index_copy(0, rest, mixture.logprobs)
    solution = finish([solution], policy_logprobs.shape[:-1], on_disjoint)
    return solution, Mixture(logprobs.reshape(policy_logprobs.shape), solution.log_z)


def _normalized(logprobs: Tensor) -> Tensor:
    values = at_least_float32(logprobs)
    return values if values is logprobs else values.log_softmax(-1)


class _Graph:
    """`first_pass` compiled, as long as that works."""

    def __init__(self, device: str) -> None:
        self._call: _Pass | None = torch.compile(first_pass, dynamic=True, fullgraph=True)
        # Two sizes that differ, none of them 1 and the vocabulary not small: torch takes equal sizes for always equal,
        # and compiles small ones anew.
        logits = torch.linspace(0, 7, 3 * 5003, device=device).reshape(3, 5003)
        pair = (logits.sin().log_softmax(-1), logits.cos().log_softmax(-1))
        said, expected = self(*pair, 1e-3), first_pass(*pair, 1e-3)
        if said is not None and not torch.allclose(said.alpha, expected.alpha, atol=1e-5):
            self._give_up("the compiled pass says something else")
        # The compiler leaves exceptions in cycles, which hold the frames of all its callers, and these their caches.
        gc.collect()

    def __call__(self, policy: Tensor, target: Tensor, tol: float) -> Passed | None:
        """Return what `first_pass` says; None, and a notice the first time, where it cannot be compiled."""
        if self._call is None:
            return None
        try:
            # One kind of tensor (a view) in one mode, so that one graph will do.
            with torch.no_grad():
                return self._call(policy.detach(), target.detach(), tol)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a compiler has to say
            self._give_up(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        return None

    def _give_up(self, reason: str) -> None:
        self._call = None
        print(f"notice: the α solver is not compiled ({reason}); it goes operation by operation", file=sys.stderr)


@cache
def _graph(device: str) -> _Graph:
    return _Graph(device)
