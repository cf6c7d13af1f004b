"""Roots of many increasing functions at once: third-order steps inside a bracket, stopped by the error of the root.

Every α criterion of this package is the root in [0, 1] of an increasing function of α that can be evaluated, with two
derivatives, in one pass over the vocabulary. That is what `RootProblem` says and `find_root` solves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from qstar_pl.qstar.deferred import current


@dataclass(frozen=True)
class Evaluation:
    """An increasing function at one α per row, [rows] each."""

    value: Tensor
    slope: Tensor
    curvature: Tensor
    """Second derivative."""
    noise: Tensor
    """Estimate of the rounding error of `value`: a smaller value cannot be told from 0."""
    blur: Tensor
    """Rounding error beyond `noise` that `RootProblem.sharpen` takes away."""
    log_z: Tensor
    """Λ = log Z at this α, where it is a by-product (`RootProblem.value_is_mean`)."""
    rms: Tensor
    """sqrt(E_q[direction²]) at this α, likewise."""

    def index_copy(self, rows: Tensor, other: Evaluation) -> Evaluation:
        """Return the evaluation with `rows` [n] replaced by those of `other` [n]."""
        return Evaluation(
            **{f.name: getattr(self, f.name).index_copy(0, rows, getattr(other, f.name)) for f in fields(self)}
        )


@dataclass(frozen=True)
class Step:
    """Where the two-atom model of an evaluation has its root, [rows] each."""

    size: Tensor
    """What to add to α."""
    width: Tensor
    """Distance of the atoms, nats."""
    share: Tensor
    """Probability of the upper atom."""


@dataclass(frozen=True)
class RootProblem(ABC):
    """One increasing function per row; fields are tensors of [rows, V] or [rows]."""

    base: Tensor
    """[rows, V] log π_t on the common support, -inf elsewhere."""
    direction: Tensor
    """[rows, V] log π_θ − log π_t on the common support, 0 elsewhere."""

    value_is_mean: ClassVar[bool] = False
    """The function is Λ' itself, so that an evaluation also knows log Z and the KL gap at its α."""
    caution: ClassVar[float] = 0.1
    """A step d of the two-atom model, atoms w apart, is taken to miss the root by this share of |d| (d w)²."""
    ends_known: ClassVar[bool] = True
    """On full common support the function is ≤ 0 at α = 0 and ≥ 0 at α = 1, without looking."""
    passes: ClassVar[int] = 8
    """Evaluations where nobody looks when all rows are finished: as many as the worst pair of `benchmarks/pairs.py`
    takes at the default tolerance, or more."""

    @classmethod
    def build(cls, base: Tensor, direction: Tensor) -> Self:
        """Return the problem of these distributions."""
        return cls(base, direction)

    @classmethod
    def build_restricted(cls, base: Tensor, direction: Tensor, outside: Tensor) -> Self:
        """Return the problem where the supports differ, so that neither side sums to 1 on the common support.

        `outside` [rows] is Σ π_θ − Σ π_t over the other tokens.
        """
        return cls.build(base, direction)

    @abstractmethod
    def evaluate(self, alpha: Tensor) -> Evaluation:
        """Return the functions of all rows at `alpha` [rows]."""

    def sharpen(self, rows: Tensor, alpha: Tensor, now: Evaluation) -> tuple[Self, Evaluation]:
        """Return the problem, and its evaluation `now` at `alpha`, with less rounding error in the rows given.

        Called where `noise` blurs the root by more than the tolerance; a row that is sharp already is left as it is.
        """
        return self, now

    def blurred(self, now: Evaluation, tol: float) -> Tensor:
        """Return the mask [rows] of those that `sharpen` is for."""
        return (now.blur > 0) & (now.noise + now.blur > tol * now.slope)

    # The same without choosing rows, for `static`: all rows are sharpened, and masks choose.

    def wants_sharp(self, now: Evaluation, tol: float) -> Tensor:
        """Return the mask [rows] of those whose `plain` evaluation `now` is to be sharpened."""
        return self.blurred(now, tol)

    def sharp(self) -> Self:
        """Return the problem with less rounding error in all rows."""
        return self

    def sharp_as(self, restricted: Self) -> Self:
        """Return `sharp()`, given that of the problem that `build_restricted` makes of the same distributions."""
        return self.sharp()

    def plain(self, alpha: Tensor) -> Evaluation:
        """Return what `evaluate` returns, where rows that are sharp need not be told apart."""
        return self.evaluate(alpha)

    def evaluate_sharp(self, alpha: Tensor) -> Evaluation:
        """Return what `evaluate` returns if all rows are sharp."""
        return self.evaluate(alpha)

    def sharpened(self, sharp: Self, alpha: Tensor, now: Evaluation) -> Evaluation:
        """Return `now` [rows] of this problem at `alpha` as `sharpen` would, for all rows; `sharp` is its `sharp()`."""
        return now

    def foresee(self, alpha: Tensor, now: Evaluation, step: Step) -> tuple[Tensor, Tensor]:
        """Estimate where `step` leads from `alpha`: how far from the root, and to which value, [rows] each."""
        miss = self.caution * step.size.abs() * (step.size * step.width).square()
        return miss, third_order(now, step.size)

    def select(self, rows: Tensor) -> Self:
        """Return the problem of the rows with these indices."""
        return replace(self, **{f.name: getattr(self, f.name).index_select(0, rows) for f in fields(self)})

    def guess(self, alpha: Tensor, now: Evaluation) -> Tensor:
        """Return α for rows whose value at `alpha` is all rounding; unless a problem knows better, `alpha` will do."""
        return alpha


@dataclass(frozen=True)
class Root:
    """Where the iteration ended, [rows] each."""

    alpha: Tensor
    last: Evaluation
    """The last evaluation, its `value` and `log_z` carried along the last step to `alpha`."""
    iterations: Tensor
    converged: Tensor
    """False where `max_iter` ran out."""
    moved: Tensor
    """False where the first evaluation could not tell the start from the root; α is then a guess."""


def rounding(dtype: torch.dtype) -> float:
    """Return the log-ratio below which two log-probabilities count as equal, nats: 16 eps, 1.9e-6 in float32."""
    return 16 * torch.finfo(dtype).eps


def may_ask(tensor: Tensor) -> bool:
    """Return whether a look at a value costs nothing: an accelerator would have to finish first."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling() and current() is None


def select(values: Tensor, rows: Tensor) -> Tensor:
    """Return these rows of [rows, V], without a copy if they are all."""
    return values if rows.numel() == values.shape[0] else values.index_select(0, rows)


def two_point_step(now: Evaluation) -> Step:
    """Return the step to the root of the mean of a two-atom law, tilted by α, that matches `now`.

    Λ' is the mean of log π_θ/π_t under its own exponential tilt, so the law with two atoms that has the same first
    three cumulants is the natural local model; its root is in closed form. The step is of third order like Halley's,
    exact for a vocabulary of two tokens, and does not overshoot where Λ' is flat (both distributions peaked, on
    different tokens), which is where Newton needs its longest runs. Where both atoms have the same sign the model has
    no root: Newton's step is returned.
    """
    skew = now.curvature / now.slope  # distance of the upper atom from the mean, minus that of the lower one
    width = (skew * skew + 4 * now.slope).sqrt()
    longer = 0.5 * (skew.abs() + width)  # distance of the farther atom from the mean
    shorter = now.slope / longer  # the variance is the product of both distances; width − |skew| would cancel
    right = torch.where(skew > 0, longer, shorter)
    left = torch.where(skew > 0, shorter, longer)
    # Solves Σ share · atom · exp(atom · size) = 0; the logarithm is NaN where both atoms have the same sign.
    size = ((right / left).log() - ((now.value + right) / (left - now.value)).log()) / width
    return Step(torch.where(size.abs() < torch.inf, size, -now.value / now.slope), width, left / width)


def third_order(now: Evaluation, size: Tensor) -> Tensor:
    """Return the value after a step [rows] of this size."""
    return now.value + size * (now.slope + 0.5 * size * now.curvature)


def carried_log_z(now: Evaluation, size: Tensor, model: Step) -> Tensor:
    """Return log Z after a step [rows] of this size, under the two-atom model."""
    reach = size * model.width
    # Around the mean the atoms lie (1 − s) and −s of the width away, s the share of the upper one.
    # log E[exp(size · (atom − mean))]; 80, since expm1 overflows float32 near 89.
    tilt = torch.log1p(model.share * torch.expm1(reach.clamp_max(80))) - model.share * reach
    log_z = now.log_z + size * now.value + tilt
    return torch.where(log_z.abs() < torch.inf, log_z, now.log_z)


def find_root(problem: RootProblem, start: Tensor, *, tol: float, max_iter: int) -> Root:
    """Find where the functions of `problem` cross 0 in [0, 1], from `start` [rows].

    The caller knows that each function is ≤ 0 at 0 and ≥ 0 at 1. A row is finished, and costs nothing more, as soon as

    - the step from its last evaluation stays inside the bracket and misses the root by no more than `tol`, by the
      problem's own estimate: the step is taken, without another evaluation;
    - or the bracket is no wider than `tol`;
    - or its value is within the rounding error, which blurs the root by more than `tol`: the problem's guess is taken.

    A step that leaves the bracket, is NaN, or follows a step that did not halve the value is replaced by bisection.
    What is not finished after `max_iter` evaluations also takes its last step. A NaN ends a row unconverged.
    """
    alpha, rows, root = start, None, None  # rows: original indices of those still running; None: all
    low, high = torch.zeros_like(start), torch.ones_like(start)
    previous = torch.full_like(start, torch.inf)  # inf: the first step has no value to halve
    for iteration in range(1, max_iter + 1):
        now = problem.evaluate(alpha)
        problem, now = _sharpened(problem, alpha, now, tol, first=iteration == 1)
        # Increasing functions: a value above 0 lies beyond the root. 0 and NaN leave the bracket as it is.
        high = torch.where(now.value > 0, alpha, high)
        low = torch.where(now.value < 0, alpha, low)
        found = move(problem, alpha, now, (low, high), previous, tol, iteration)
        root = found if root is None or rows is None else _index_copy(root, rows, found)
        if iteration == max_iter:
            break
        keep = (~(found.converged | now.value.isnan())).nonzero().squeeze(-1)
        if keep.numel() == 0:
            break
        alpha, previous = found.alpha, now.value.abs()
        if keep.numel() < alpha.numel():
            alpha, low, high, previous = alpha[keep], low[keep], high[keep], previous[keep]
            rows = keep if rows is None else rows[keep]
            problem = problem.select(keep)
    assert root is not None, "max_iter is at least 1"
    return root


def move(
    problem: RootProblem,
    alpha: Tensor,
    now: Evaluation,
    bracket: tuple[Tensor, Tensor],
    previous: Tensor,
    tol: float,
    iteration: int,
) -> Root:
    """Return where all rows go from `alpha`, and whether they are finished there; `previous` is the last |value|."""
    low, high = bracket
    step = two_point_step(now)
    proposal = alpha + step.size
    # A variance far below the squared mean is only what rounding left of E[x²] − E[x]².
    sound_mask = now.slope > 32 * torch.finfo(alpha.dtype).eps * now.value.square()
    # Inclusive: a step below the resolution of α leads nowhere, and is the last.
    inside_mask = sound_mask & (proposal >= low) & (proposal <= high)
    # An error of the value moves the root by error/slope; below `tol` that is no reason to stop.
    noise, size = now.noise + now.blur, now.value.abs()
    blurred_mask = (size <= noise) & ~(noise < tol * now.slope)
    miss, foreseen = problem.foresee(alpha, now, step)
    finished_mask = (inside_mask & (miss <= tol)) | blurred_mask | (high - low <= tol)
    step_mask = inside_mask & (finished_mask | (size <= 0.5 * previous)) & ~blurred_mask
    if may_ask(alpha) and bool(step_mask.all()):  # nearly always; the rest is for rows that bisect, or are all rounding
        taken, value = proposal - alpha, foreseen
    else:
        other = torch.where(blurred_mask, problem.guess(alpha, now), 0.5 * (low + high))
        proposal = torch.where(step_mask, proposal, other)
        taken = proposal - alpha
        value = torch.where(step_mask, foreseen, third_order(now, taken))
    return Root(
        alpha=proposal,
        last=replace(now, value=value, log_z=carried_log_z(now, taken, step)),
        iterations=torch.full(alpha.shape, iteration, dtype=torch.int64, device=alpha.device),
        converged=finished_mask,
        moved=~(blurred_mask | now.value.isnan()) | (iteration > 1),
    )


def _sharpened(
    problem: RootProblem, alpha: Tensor, now: Evaluation, tol: float, *, first: bool
) -> tuple[RootProblem, Evaluation]:
    """Sharpen the rows whose root is blurred by more than `tol`."""
    if not may_ask(alpha):
        # Asking the device which rows those are costs more than sharpening all of them, once.
        rows = torch.arange(alpha.numel() if first else 0, device=alpha.device)
    else:
        rows = problem.blurred(now, tol).nonzero().squeeze(-1)
    return problem.sharpen(rows, alpha, now) if rows.numel() > 0 else (problem, now)


def _index_copy(root: Root, rows: Tensor, other: Root) -> Root:
    """Return `root` with `rows` [n] replaced by those of `other` [n]."""
    return Root(
        root.alpha.index_copy(0, rows, other.alpha),
        root.last.index_copy(rows, other.last),
        root.iterations.index_copy(0, rows, other.iterations),
        root.converged.index_copy(0, rows, other.converged),
        root.moved.index_copy(0, rows, other.moved),
    )
