"""The α solvers without a look at any value: the same numbers in shapes that depend on nothing but the arguments'.

The other way (`solve.solve_blocks`, `root.find_root`) drops rows that are finished and treats the few without full
support apart, which costs a wait for the device each time. Here every row takes every pass, and masks choose.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from qstar_pl.qstar.checks import note_nan
from qstar_pl.qstar.deferred import Deferred
from qstar_pl.qstar.root import Root, RootProblem, move, rounding
from qstar_pl.qstar.solution import AlphaSolution, AlphaStatus
from qstar_pl.qstar.tilt import cumulants

T = TypeVar("T")


@dataclass(frozen=True)
class Solved:
    """All rows, with what the solver had at hand."""

    solution: AlphaSolution
    full_mask: Tensor
    """[rows] bool: both distributions have the same support."""
    base: Tensor
    """[rows, V] log π_t on the common support, −inf elsewhere."""
    direction: Tensor
    """[rows, V] log π_θ − log π_t on the common support, 0 elsewhere."""


def solve_static(
    problem_type: type[RootProblem],
    policy: Tensor,
    target: Tensor,
    *,
    tol: float,
    max_iter: int,
    fallback: float,
    deferred: Deferred,
) -> Solved:
    """Solve rows [rows, V] in `problem_type.passes` passes, or `max_iter` if that is less.

    Args:
        problem_type: the criterion.
        policy: log π_θ, at least float32.
        target: log π_t.
        tol: largest error of α.
        max_iter: most passes.
        fallback: α of rows without a common token.
        deferred: where rows with NaN are noted.

    """
    note_nan(deferred, policy_logprobs=policy, target_logprobs=target)
    common_mask = (policy > -torch.inf) & (target > -torch.inf)
    base = target.masked_fill(~common_mask, -torch.inf)
    direction = (policy - target).masked_fill(~common_mask, 0.0)
    outside = (policy.exp() - target.exp()).masked_fill(common_mask, 0.0).sum(-1)
    problem = problem_type.build_restricted(base, direction, outside)
    zeros = torch.zeros_like(base[:, 0])
    # Where the supports differ there need not be a root: a function that is positive at 0, or negative at 1, has none.
    sharp = problem.sharp()
    at_zero, at_one = problem.sharpened(sharp, zeros, problem.plain(zeros)), sharp.evaluate_sharp(zeros + 1)
    problem = sharp
    zero_mask, one_mask = at_zero.value > at_zero.noise, at_one.value < -at_one.noise
    full_mask = torch.zeros_like(zero_mask)
    if problem_type.ends_known:
        full_mask, plain = common_mask.all(-1), problem_type.build(base, direction)
        problem, sharp = choose(full_mask, plain, sharp), choose(full_mask, plain.sharp_as(sharp), sharp)
        zero_mask, one_mask = zero_mask & ~full_mask, one_mask & ~full_mask
    end_mask = zero_mask | one_mask
    root = find_root_static(
        (problem, sharp), zeros + 0.5, ~end_mask, tol=tol, passes=min(max_iter, problem_type.passes)
    )
    alpha = torch.where(end_mask, one_mask.to(zeros.dtype), root.alpha)
    here = cumulants(base, direction, alpha)
    log_z, mean, rms = here.log_z, here.mean, here.rms
    if problem.value_is_mean:
        log_z, mean = (torch.where(full_mask, a, b) for a, b in ((root.last.log_z, log_z), (root.last.value, mean)))
        rms = torch.where(full_mask, root.last.rms, rms)
    disjoint_mask = ~common_mask.any(-1)
    identical_mask = (rms <= rounding(zeros.dtype)) & ~(root.moved | end_mask)
    status = torch.where(end_mask, int(AlphaStatus.BOUNDARY), int(AlphaStatus.OK))
    status = status.masked_fill(identical_mask, int(AlphaStatus.IDENTICAL))
    status = status.masked_fill(disjoint_mask, int(AlphaStatus.DISJOINT))
    solution = AlphaSolution(
        alpha=alpha.masked_fill(disjoint_mask, fallback),
        kl_gap=(-mean).masked_fill(disjoint_mask, -torch.inf if fallback == 1.0 else torch.inf),
        iterations=torch.where(end_mask, 0, root.iterations),
        converged=root.converged | end_mask | (~full_mask & (status != AlphaStatus.OK)),
        status=status,
        log_z=log_z.masked_fill(end_mask | disjoint_mask, 0.0),
    )
    return Solved(solution, full_mask, base, direction)


def find_root_static(
    problems: tuple[RootProblem, RootProblem], start: Tensor, running: Tensor, *, tol: float, passes: int
) -> Root:
    """Do what `find_root` does, always in `passes` passes.

    Args:
        problems: the problem, and the same with all rows sharp.
        start: [rows] α.
        running: [rows] bool: rows where False are left out.
        tol: largest error of α.
        passes: evaluations.

    """
    problem, sharp = problems
    alpha, root = start, None
    low, high = torch.zeros_like(start), torch.ones_like(start)
    previous = torch.full_like(start, torch.inf)
    for iteration in range(1, passes + 1):
        now = problem.plain(alpha)
        blurred_mask = problem.wants_sharp(now, tol)
        now = choose(blurred_mask, problem.sharpened(sharp, alpha, now), now)
        problem = choose(blurred_mask, sharp, problem)
        high = torch.where(now.value > 0, alpha, high)
        low = torch.where(now.value < 0, alpha, low)
        found = move(problem, alpha, now, (low, high), previous, tol, iteration)
        root = found if root is None else choose(running, found, root)
        running = running & ~(found.converged | now.value.isnan())
        alpha = torch.where(running, found.alpha, alpha)
        previous = torch.where(running, now.value.abs(), previous)
    assert root is not None, "there is at least one pass"
    return root


def choose(mask: Tensor, chosen: T, otherwise: T) -> T:
    """Return a dataclass of [rows, …] tensors: `chosen` where `mask` [rows] is True."""
    values = {}
    for field in fields(chosen):  # type: ignore[arg-type]
        a, b = getattr(chosen, field.name), getattr(otherwise, field.name)
        if isinstance(a, Tensor):
            here = mask if a.dim() == 1 else mask.unsqueeze(-1)
            values[field.name] = a if a is b else torch.where(here, a, b)
        else:
            values[field.name] = choose(mask, a, b)
    return replace(chosen, **values)  # type: ignore[type-var]
