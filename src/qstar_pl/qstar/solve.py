"""From a root problem to a solution for any shape, dtype and support: what the α solvers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from qstar_pl.checks import at_least, positive
from qstar_pl.errors import UserError
from qstar_pl.qstar.checks import SLACK, check_logprobs
from qstar_pl.qstar.deferred import current
from qstar_pl.qstar.root import RootProblem, find_root, rounding
from qstar_pl.qstar.solution import AlphaSolution, AlphaStatus, refuse_disjoint
from qstar_pl.qstar.static import solve_static
from qstar_pl.qstar.tensors import require_tensors
from qstar_pl.qstar.tilt import cumulants

OnDisjoint = Literal["raise", "policy", "target"]

# Rows are solved in blocks so that their few [rows, V] buffers stay in a CPU's cache: 10 rows of GPT-2's vocabulary.
BLOCK_ELEMENTS = 2**19


def solve(
    problem_type: type[RootProblem],
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    *,
    tol: float,
    max_iter: int,
    on_disjoint: OnDisjoint,
    normalised: bool = False,
) -> AlphaSolution:
    """Solve `problem_type` for every row of [..., V] log-probabilities; no gradient flows.

    Rows are checked for being normalized unless the caller knows that they are (`normalised`).
    """
    check(policy_logprobs, target_logprobs, tol, max_iter, normalised)
    blocks = solve_blocks(problem_type, policy_logprobs, target_logprobs, tol, max_iter, on_disjoint)
    return finish([block.solution for block in blocks], policy_logprobs.shape[:-1], on_disjoint)


@dataclass(frozen=True)
class Block:
    """Some solved rows, with what the solver had at hand ([rows, V] each, in the dtype of the computation)."""

    solution: AlphaSolution
    restricted: Tensor
    """Rows solved on their common support; elsewhere `direction` is finite. Their numbers, or, where nobody looks (see
    `deferred`), a mask [rows]."""
    policy: Tensor
    target: Tensor
    direction: Tensor
    """log π_θ − log π_t."""


def solve_blocks(
    problem_type: type[RootProblem],
    policy_logprobs: Tensor,
    target_logprobs: Tensor,
    tol: float,
    max_iter: int,
    on_disjoint: OnDisjoint,
) -> Iterator[Block]:
    """Yield the rows of [..., V] log-probabilities in solved blocks, at least one."""
    vocab = policy_logprobs.shape[-1]
    dtype = torch.promote_types(torch.promote_types(policy_logprobs.dtype, target_logprobs.dtype), torch.float32)
    all_policy, all_target = policy_logprobs.detach().reshape(-1, vocab), target_logprobs.detach().reshape(-1, vocab)
    rows, fallback = all_policy.shape[0], 1.0 if on_disjoint == "policy" else 0.0
    if (deferred := current()) is not None:
        policy, target = (_at_least_float32(x, dtype) for x in (all_policy, all_target))
        solved = solve_static(
            problem_type, policy, target, tol=tol, max_iter=max_iter, fallback=fallback, deferred=deferred
        )
        yield Block(solved.solution, ~solved.full_mask, policy, target, solved.direction)
        return
    # An accelerator takes all rows at once: there every block would pay for the launches of its kernels again.
    size = max(1, BLOCK_ELEMENTS // vocab) if all_policy.device.type == "cpu" else max(1, rows)
    for first in range(0, max(1, rows), size):  # without rows one empty block, which carries dtype and device
        policy, target = (_at_least_float32(x[first : first + size], dtype) for x in (all_policy, all_target))
        direction = policy - target
        problem = problem_type.build(target, direction)
        # Full support is the rule, so it is assumed; rows for which that was wrong are solved again, restricted.
        if problem_type.ends_known and rows > 0:
            solution, restricted_mask = _solve_full(problem, tol, max_iter)
        else:
            solution, restricted_mask = None, torch.ones(policy.shape[0], dtype=torch.bool, device=policy.device)
        restricted = restricted_mask.nonzero().squeeze(-1)
        if solution is None or restricted.numel() > 0:
            pair = (policy[restricted], target[restricted])
            _check_restricted(*pair, policy_logprobs, target_logprobs)
            mended = _solve_restricted(problem_type, *pair, tol, max_iter, fallback)
            solution = mended if solution is None else solution.index_copy(restricted, mended)
        yield Block(solution, restricted, policy, target, direction)


def check(policy_logprobs: Tensor, target_logprobs: Tensor, tol: float, max_iter: int, normalised: bool) -> None:
    """Raise a UserError for arguments that no solver takes."""
    require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    if policy_logprobs.shape != target_logprobs.shape or policy_logprobs.dim() == 0 or policy_logprobs.shape[-1] == 0:
        shapes = f"{tuple(policy_logprobs.shape)} and {tuple(target_logprobs.shape)}"
        raise UserError(f"policy_logprobs and target_logprobs must have one shape [..., V] with V > 0, got {shapes}")
    positive(tol=tol)
    at_least(1, max_iter=max_iter)
    if not normalised:
        check_logprobs(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)


def finish(parts: list[AlphaSolution], shape: torch.Size, on_disjoint: OnDisjoint) -> AlphaSolution:
    """Join the blocks, restore the leading shape and raise for disjoint rows if they must raise."""
    solution = AlphaSolution.cat(parts).reshape(shape)
    if on_disjoint == "raise":
        refuse_disjoint(solution.status == AlphaStatus.DISJOINT)
    return solution


def _solve_full(problem: RootProblem, tol: float, max_iter: int) -> tuple[AlphaSolution, Tensor]:
    """Solve as if all rows had full support; also return the mask [rows] of those for which that was wrong."""
    # A third of a row's time is what torch does around some 200 operations on single numbers; this mode does least.
    with torch.inference_mode():
        solution, sound_mask = _solve_sound(problem, tol, max_iter)
    # Tensors of that mode cannot take part in a graph, as other tensors without gradient can.
    return solution.clone(), ~sound_mask


def _solve_sound(problem: RootProblem, tol: float, max_iter: int) -> tuple[AlphaSolution, Tensor]:
    """Solve full supports; also return the mask [rows] of those that were."""
    root = find_root(problem, _middle(problem), tol=tol, max_iter=max_iter)
    if problem.value_is_mean:
        log_z, kl_gap, rms = root.last.log_z, -root.last.value, root.last.rms
    else:
        here = cumulants(problem.base, problem.direction, root.alpha)
        log_z, kl_gap, rms = here.log_z, -here.mean, here.rms
    status = torch.where((rms <= rounding(rms.dtype)) & ~root.moved, int(AlphaStatus.IDENTICAL), int(AlphaStatus.OK))
    # No pass is spent on looking for infinite log-probabilities: a single one makes its row's mean 0 · inf = NaN.
    # log Z > 0 shows that a row is not normalized (Hölder: Z ≤ 1 for two distributions).
    sound_mask = (rms < torch.inf) & (root.last.value.abs() < torch.inf) & (log_z < SLACK)
    return AlphaSolution(root.alpha, kl_gap, root.iterations, root.converged, status, log_z), sound_mask


def _solve_restricted(
    problem_type: type[RootProblem], policy: Tensor, target: Tensor, tol: float, max_iter: int, fallback: float
) -> AlphaSolution:
    """Solve rows on their common support, where a root need not exist."""
    common_mask = (policy > -torch.inf) & (target > -torch.inf)
    base = target.masked_fill(~common_mask, -torch.inf)
    direction = (policy - target).masked_fill(~common_mask, 0.0)
    outside = (policy.exp() - target.exp()).masked_fill(common_mask, 0.0).sum(-1)
    problem = problem_type.build_restricted(base, direction, outside)
    if policy.shape[0] == 0:
        empty = policy.new_empty(0)
        counts = torch.empty(0, dtype=torch.int64, device=policy.device)
        return AlphaSolution(empty, empty, counts, counts.bool(), counts, empty)
    # The functions increase: one that is positive at 0, or negative at 1, has no root in between. Disjoint rows are NaN
    # throughout; the iteration drops them after one pass, and they are overwritten below.
    zeros = torch.zeros_like(base[:, 0])
    every = torch.arange(zeros.numel(), device=zeros.device)
    problem, at_zero = problem.sharpen(every, zeros, problem.evaluate(zeros))
    at_one = problem.evaluate(zeros + 1)
    zero_mask, one_mask = at_zero.value > at_zero.noise, at_one.value < -at_one.noise
    alpha = zeros.masked_fill(one_mask, 1.0)
    iterations = torch.zeros_like(alpha, dtype=torch.int64)
    # A row that ends at 0 or 1 has nothing to iterate, and is not IDENTICAL.
    converged, moved = torch.ones_like(zero_mask), torch.ones_like(zero_mask)
    inner = (~(zero_mask | one_mask)).nonzero().squeeze(-1)
    if inner.numel() > 0:
        inner_problem = problem.select(inner)
        root = find_root(inner_problem, _middle(inner_problem), tol=tol, max_iter=max_iter)
        alpha = alpha.index_copy(0, inner, root.alpha)
        iterations = iterations.index_copy(0, inner, root.iterations)
        converged = converged.index_copy(0, inner, root.converged)
        moved = moved.index_copy(0, inner, root.moved)
    here = cumulants(base, direction, alpha)
    identical_mask, disjoint_mask = (here.rms <= rounding(zeros.dtype)) & ~moved, ~common_mask.any(-1)
    status = torch.where(zero_mask | one_mask, int(AlphaStatus.BOUNDARY), int(AlphaStatus.OK))
    status = status.masked_fill(identical_mask, int(AlphaStatus.IDENTICAL))
    status = status.masked_fill(disjoint_mask, int(AlphaStatus.DISJOINT))
    return AlphaSolution(
        alpha=alpha.masked_fill(disjoint_mask, fallback),
        # q is then π_θ or π_t itself: one divergence is 0, the other infinite.
        kl_gap=(-here.mean).masked_fill(disjoint_mask, -torch.inf if fallback == 1.0 else torch.inf),
        iterations=iterations,
        converged=converged | (status != AlphaStatus.OK),
        status=status,
        # At an end the mixture is π_θ or π_t itself.
        log_z=here.log_z.masked_fill(zero_mask | one_mask | disjoint_mask, 0.0),
    )


def _middle(problem: RootProblem) -> Tensor:
    return torch.full(problem.base.shape[:1], 0.5, dtype=problem.base.dtype, device=problem.base.device)


def _at_least_float32(logprobs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the rows in the dtype of the computation.

    Half precision rounds log-probabilities by up to 0.03 nats; what matters to α is that the rows sum to 1 again.
    """
    half = logprobs.dtype in (torch.float16, torch.bfloat16)
    return logprobs.to(dtype).log_softmax(-1) if half else logprobs.to(dtype)


def _check_restricted(policy: Tensor, target: Tensor, policy_logprobs: Tensor, target_logprobs: Tensor) -> None:
    """Refuse rows that are no distributions, among the few that looked wrong; the error has their original index."""
    try:
        check_logprobs(policy_logprobs=policy, target_logprobs=target)
    except UserError:
        check_logprobs(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
        raise
