"""Roots of many increasing functions at once: third-order steps inside a bracket.

Every α criterion of this package is the root in [0, 1] of an increasing function of α that can be evaluated, with two
derivatives, in one pass over the vocabulary. That is what `RootProblem` says and `find_root` solves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Evaluation:
    """An increasing function at one α per row, [rows] each."""

    value: Tensor
    slope: Tensor
    curvature: Tensor
    """Second derivative."""
    noise: Tensor
    """Estimate of the rounding error of `value`: a smaller value cannot be told from 0."""
    log_z: Tensor
    """Λ = log Z at this α, where it is a by-product (`RootProblem.value_is_mean`)."""
    rms: Tensor
    """sqrt(E_q[direction²]) at this α, likewise."""


@dataclass(frozen=True)
class RootProblem(ABC):
    """One increasing function per row; every field is a tensor of [rows, V]."""

    base: Tensor
    """log π_t on the common support, -inf elsewhere."""
    direction: Tensor
    """log π_θ − log π_t on the common support, 0 elsewhere."""

    value_is_mean: ClassVar[bool] = False
    """The function is Λ' itself, so that an evaluation also knows log Z and the KL gap at its α."""
    ends_known: ClassVar[bool] = True
    """On full common support the function is ≤ 0 at α = 0 and ≥ 0 at α = 1, without looking."""

    @classmethod
    def build(cls, base: Tensor, direction: Tensor) -> Self:
        """Return the problem of these distributions."""
        return cls(base, direction)

    @classmethod
    def build_restricted(cls, base: Tensor, direction: Tensor) -> Self:
        """Return the problem where the supports differ, so that neither side sums to 1 on the common support."""
        return cls.build(base, direction)

    @abstractmethod
    def evaluate(self, alpha: Tensor) -> Evaluation:
        """Return the functions of all rows at `alpha` [rows]."""

    def select(self, rows: Tensor) -> Self:
        """Return the problem of the rows with these indices."""
        return replace(self, **{f.name: getattr(self, f.name).index_select(0, rows) for f in fields(self)})

    def double(self) -> Self:
        """Return the problem in float64."""
        return replace(self, **{f.name: getattr(self, f.name).double() for f in fields(self)})


@dataclass(frozen=True)
class Root:
    """Where the iteration ended, [rows] each; `last` was evaluated at exactly this `alpha`."""

    alpha: Tensor
    last: Evaluation
    iterations: Tensor
    converged: Tensor


def two_point_step(value: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """Return the step to the root of f(x) = mean of a two-atom law, tilted by x, with f, f', f'' as given.

    Λ' is the mean of log π_θ/π_t under its own exponential tilt, so the law with two atoms that has the same first
    three cumulants is the natural local model; its root is in closed form. The step is of third order like Halley's,
    exact for a vocabulary of two tokens, and does not overshoot where Λ' is flat (both distributions peaked, on
    different tokens), which is where Newton needs its longest runs. Where both atoms have the same sign the model has
    no root: Newton's step is returned.
    """
    deviation = slope.sqrt()
    skew = curvature / (slope * deviation)
    longer = 0.5 * (skew.abs() + (skew * skew + 4).sqrt())  # distance of the farther atom, in deviations
    right = torch.where(skew > 0, longer, 1 / longer)
    upper, lower = value + deviation * right, value - deviation / right
    step = (2 * right.log() - (upper / -lower).log()) / (upper - lower)
    return torch.where(step.isfinite(), step, -value / slope)


def find_root(problem: RootProblem, start: Tensor, *, tol: float, max_iter: int) -> Root:
    """Find where the functions of `problem` cross 0 in [0, 1], from `start` [rows].

    The caller knows that each function is ≤ 0 at 0 and ≥ 0 at 1. A step that leaves the bracket, is NaN, or follows a
    step that did not halve the value is replaced by bisection. A row is finished, and costs nothing more, as soon as
    its value is within `tol` or its rounding error; a NaN finishes it unconverged.
    """
    alpha, rows, root = start, None, None
    low, high = torch.zeros_like(start), torch.ones_like(start)
    previous = torch.full_like(start, torch.inf)
    for iteration in range(1, max_iter + 1):
        now = problem.evaluate(alpha)
        size = now.value.abs()
        open_mask = size > now.noise.clamp_min(tol)
        root = _record(root, rows, alpha, now, iteration)
        keep = open_mask.nonzero().squeeze(-1)
        if keep.numel() == 0 or iteration == max_iter:
            break
        high = torch.where(now.value > 0, alpha, high)
        low = torch.where(now.value < 0, alpha, low)
        proposal = alpha + two_point_step(now.value, now.slope, now.curvature)
        inside_mask = (proposal > low) & (proposal < high) & (size <= 0.5 * previous)
        alpha, previous = torch.where(inside_mask, proposal, 0.5 * (low + high)), size
        if keep.numel() < alpha.numel():
            alpha, low, high, previous = alpha[keep], low[keep], high[keep], previous[keep]
            rows = keep if rows is None else rows[keep]
            problem = problem.select(keep)
    assert root is not None, "max_iter is at least 1"
    return replace(root, converged=root.last.value.abs() <= root.last.noise.clamp_min(tol))


def find_root_refined(problem: RootProblem, *, tol: float, max_iter: int) -> Root:
    """`find_root` from α = 0.5; rows whose rounding error exceeds `tol` are finished in float64.

    That happens where the log-ratio is wide (tens of nats: peaks on different tokens) or `tol` is near what float32
    can say. α comes back in the dtype of the problem, with the value at the rounded α.
    """
    start = torch.full(problem.base.shape[:1], 0.5, dtype=problem.base.dtype, device=problem.base.device)
    root = find_root(problem, start, tol=tol, max_iter=max_iter)
    noisy = (root.last.noise > tol).nonzero().squeeze(-1)
    if noisy.numel() == 0 or problem.base.dtype == torch.float64:
        return root
    left = max_iter - int(root.iterations[noisy].max())
    if left < 1:
        return replace(root, converged=root.converged.index_fill(0, noisy, False))
    fine = find_root(problem.select(noisy).double(), root.alpha[noisy].double(), tol=tol, max_iter=left)
    rounded = fine.alpha.to(start.dtype)
    value = fine.last.value + fine.last.slope * (rounded.double() - fine.alpha)
    fine = replace(fine, alpha=rounded, last=replace(fine.last, value=value))
    last = {
        f.name: getattr(root.last, f.name).index_copy(0, noisy, getattr(fine.last, f.name).to(start.dtype))
        for f in fields(Evaluation)
    }
    return Root(
        root.alpha.index_copy(0, noisy, fine.alpha),
        Evaluation(**last),
        root.iterations.index_add(0, noisy, fine.iterations),
        root.converged.index_copy(0, noisy, fine.converged),
    )


def _record(root: Root | None, rows: Tensor | None, alpha: Tensor, now: Evaluation, iteration: int) -> Root:
    """Return `root` with the rows `rows` (all if None) brought up to date."""
    if root is None or rows is None:
        iterations = torch.full(alpha.shape, iteration, dtype=torch.int64, device=alpha.device)
        return Root(alpha, now, iterations, torch.zeros_like(iterations, dtype=torch.bool))
    names = [f.name for f in fields(Evaluation)]
    last = {name: getattr(root.last, name).index_copy(0, rows, getattr(now, name)) for name in names}
    return Root(
        root.alpha.index_copy(0, rows, alpha),
        Evaluation(**last),
        root.iterations.index_fill(0, rows, iteration),
        root.converged,
    )
