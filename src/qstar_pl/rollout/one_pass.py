"""A token of every row by one compiled graph of few passes over the logits: what most tokens need, and no more.

`token.drawing` writes some fifteen tensors [rows, vocab] per token. Here none is written but q itself: the normalizers
of both laws, the sums that α* takes, and the mixture with all columns are loops that read the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.compiling import DEFAULT_BACKEND, free_callers, notice, reason
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.qstar.deferred import current
from qstar_pl.qstar.kl_symmetry import KLSymmetryProblem
from qstar_pl.qstar.root import Evaluation
from qstar_pl.qstar.static import find_root_static
from qstar_pl.qstar.tilt import Cumulants
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET, Geometric, Law
from qstar_pl.rollout.token import Draw, Drawn, drawing
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.rollout.truncation import Truncation

LEAST_ROWS = 2
"""A graph for any number of rows is not one for a single row."""
MOST_VAIN = 8
"""Tokens in a row of which the graph finished no row, after which a rollout does without it."""
CLOSE = 1e-4
"""How far the columns of a newly compiled graph may lie from those of the plain function."""


class Said(NamedTuple):
    """What the graph says of n rows."""

    ids: Tensor
    """[n] int64: the tokens drawn."""
    columns: Tensor
    """[columns, n], in the order of `COLUMNS`."""
    done: Tensor
    """[n] bool. Where False nothing is said: α takes another pass, the supports differ, or these are no laws."""


def one_pass(policy_logits: Tensor, target_logits: Tensor, uniforms: Tensor, tol: float) -> Said:
    """Draw from q* of logits [n, vocab], float32, with α* known after one evaluation at ½; see `drawn`."""
    return drawn(policy_logits, target_logits, uniforms, tol, 1)


def more_passes(policy_logits: Tensor, target_logits: Tensor, uniforms: Tensor, tol: float) -> Said:
    """Draw from q* as `one_pass` does, with α* known after three evaluations."""
    return drawn(policy_logits, target_logits, uniforms, tol, 3)


def drawn(policy_logits: Tensor, target_logits: Tensor, uniforms: Tensor, tol: float, passes: int) -> Said:
    """Draw from q* of logits [n, vocab], float32.

    With d = log π_θ/π_t the divergences need no loops of their own: log q/π_θ = −(1−α) d − log Z and
    log q/π_t = α d − log Z. Exponents are not shifted by their maximum, since π_θ^α π_t^(1−α) ≤ 1; a sum that
    underflows shows as an infinite log Z.

    Args:
        policy_logits: of π_θ.
        target_logits: of π_t.
        uniforms: [n] float64 in [0, 1).
        tol: largest error of α.
        passes: evaluations of the criterion, each a loop over the vocabulary.

    """
    (policy, policy_others), (target, target_others) = _law(policy_logits), _law(target_logits)
    direction, zeros = policy - target, torch.zeros_like(policy_others)
    problem = _Problem(target, direction, outside=zeros, shift=zeros, grain=policy_others + target_others)
    root = find_root_static((problem, problem), zeros + 0.5, zeros == 0, tol=tol, passes=passes)
    alpha = root.alpha
    log_weights = target + alpha.unsqueeze(-1) * direction
    weights = log_weights.exp()
    z, mean = weights.sum(-1), (weights * direction).sum(-1)
    log_z, mean = z.log(), mean / z
    # 1/ESS = Σ p²/q = Z Σ exp(2 log p − log weight).
    inverse_ess = [z * (2 * own - log_weights).exp().sum(-1) for own in (policy, target)]
    ids = inverse_cdf(weights, uniforms)
    index = ids.unsqueeze(-1)
    own = {POLICY: policy.gather(-1, index).squeeze(-1), TARGET: target.gather(-1, index).squeeze(-1)}
    columns = {
        "behavior_logprobs": own[TARGET] + alpha * (own[POLICY] - own[TARGET]) - log_z,
        "policy_logprobs": own[POLICY],
        "target_logprobs": own[TARGET],
        "alpha": alpha,
        "log_z": log_z,
        "ess_policy": 1 / inverse_ess[0],
        "ess_target": 1 / inverse_ess[1],
        "kl_behavior_policy": ((alpha - 1) * mean - log_z).clamp_min(0.0),
        "kl_behavior_target": (alpha * mean - log_z).clamp_min(0.0),
        "uncovered_mass": zeros,
    }
    table = torch.stack([columns[name] for name in COLUMNS])
    # A −inf among the logits makes a mean NaN.
    return Said(ids, table, root.converged & table.isfinite().all(0))


def _law(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities [n, vocab], and the probability [n] of all tokens but the mode.

    The others are summed apart from the mode, so nothing is rounded away where it is nearly certain: neither its own
    log-probability nor the normalizer, which the solver would have to find again (`KLSymmetryProblem.shift`).
    """
    top = logits.amax(-1, keepdim=True)
    below_mask = logits < top
    others = torch.where(below_mask, (logits - top).exp(), 0.0).sum(-1)
    others = others + (torch.where(below_mask, 0.0, 1.0).sum(-1) - 1)  # equal ones
    return (logits - top) - others.log1p().unsqueeze(-1), others / (1 + others)


@dataclass(frozen=True)
class _Problem(KLSymmetryProblem):
    """The criterion of laws that are as sharp as can be, in one loop over the vocabulary."""

    def evaluate(self, alpha: Tensor) -> Evaluation:
        """See `RootProblem.evaluate`."""
        weights = (self.base + alpha.unsqueeze(-1) * self.direction).exp()
        square = self.direction * self.direction
        z, *moments = ((weights * power).sum(-1) for power in (1.0, self.direction, square, square * self.direction))
        mean, second, third = (moment / z for moment in moments)
        at = Cumulants(
            log_z=z.log(),
            mean=mean,
            variance=(second - mean * mean).clamp_min(0),
            third=third - mean * (3 * second - 2 * mean * mean),
            rms=second.sqrt(),
            mode=weights.amax(-1) / z,
        )
        return self.evaluated(at)

    def sharpened(self, sharp: KLSymmetryProblem, alpha: Tensor, now: Evaluation) -> Evaluation:
        """See `RootProblem.sharpened`."""
        return now


def compiles(law: Law) -> bool:
    """Return whether the law itself asks for a compiled graph."""
    return isinstance(law, Geometric) and isinstance(law.alpha, KLSymmetricAlpha) and law.alpha.solver == "compiled"


def one_pass_drawing(law: Law, truncation: Truncation, backend: str = DEFAULT_BACKEND) -> Draw | None:
    """Return `token.drawing` with the graph before it; None: not for this law.

    It draws q* itself, of float32 logits on a CPU. Other logits, and rows that the graph does not finish, are drawn
    operation by operation.
    """
    # Exactly these classes: one that inherits from them may choose α in another way.
    if truncation.changes or type(law) is not Geometric or type(law.alpha) is not KLSymmetricAlpha:
        return None
    return _OnePassDraw(law.alpha, drawing(law, truncation), backend) if law.alpha.solver != "bisection" else None


class _OnePassDraw:
    """`Draw` for one rollout."""

    def __init__(self, alpha: KLSymmetricAlpha, otherwise: Draw, backend: str) -> None:
        """Start.

        Args:
            alpha: the strategy.
            otherwise: draws where the graph is of no use.
            backend: of torch.compile.

        """
        self._tol, self._otherwise = alpha.tol, otherwise
        self._graphs = _graph(one_pass, backend), _graph(more_passes, backend)
        # Single rows are no reason to compile the solver as well.
        self._plain = drawing(Geometric(replace(alpha, solver="newton")), Truncation())
        self._left = self._vain = 0

    def __call__(self, logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        """See `Draw`."""
        useless = self._vain >= MOST_VAIN or current() is not None or not len(uniforms)
        if useless or any(x.dtype != torch.float32 or x.device.type != "cpu" for x in logits.values()):
            return self._otherwise(logits, uniforms)
        self._left = 0
        try:
            drawn = self._drawn(self._graphs, logits, uniforms)
        except UserError:
            return self._plain(logits, uniforms)  # says it again, with the rows' own numbers
        self._vain = self._vain + 1 if self._left == len(uniforms) else 0
        return drawn

    def _drawn(self, graphs: tuple[_Graph, ...], logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        """Draw with the first graph, and the rows that it does not finish with the others, or plainly."""
        if not graphs:
            self._left += len(uniforms)
            return self._plain(logits, uniforms)
        said = graphs[0](logits[POLICY], logits[TARGET], uniforms, self._tol, lambda: self._plain(logits, uniforms))
        if said is None:
            return self._drawn(graphs[1:], logits, uniforms)
        drawn = Drawn(said.ids, dict(zip(COLUMNS, said.columns, strict=True)))
        rest = (~said.done).nonzero().squeeze(-1)
        if not len(rest):
            return drawn
        others = self._drawn(graphs[1:], {role: x[rest] for role, x in logits.items()}, uniforms[rest])
        with torch.inference_mode():
            ids = drawn.ids.index_copy(0, rest, others.ids)
            columns = {name: drawn.columns[name].index_copy(0, rest, others.columns[name]) for name in COLUMNS}
        return Drawn(ids, columns)


class _Graph:
    """`one_pass` or `more_passes` compiled for any number of rows, as long as that works."""

    def __init__(self, function: Callable[..., Said], backend: str) -> None:
        self._call: Callable[..., Said] | None = torch.compile(function, dynamic=True, fullgraph=True, backend=backend)
        self._tried = False

    def __call__(
        self, policy: Tensor, target: Tensor, uniforms: Tensor, tol: float, plain: Callable[[], Drawn]
    ) -> Said | None:
        """Return what the function says, the first time beside what `plain` does; None, with a notice: it failed."""
        if self._call is None:
            return None
        count = len(uniforms)
        with torch.inference_mode():  # one mode, so that one graph will do
            given = [x.expand(LEAST_ROWS, *x.shape[1:]) if count == 1 else x for x in (policy, target, uniforms)]
            try:
                said = Said(*self._call(*(x.contiguous() for x in given), tol))
                why = None if self._tried or _same(plain(), said, count) else "it says something else"
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # whatever a compiler has to say
                why = reason(error)
        if not self._tried:
            self._tried = True
            free_callers()
        if why is not None:
            self._call = None
            notice(f"q* is not drawn by one compiled graph, but operation by operation: {why}")
            return None
        return Said(said.ids[:count], said.columns[:, :count], said.done[:count])


def _same(plain: Drawn, said: Said, count: int) -> bool:
    """Return whether both draw alike, in the rows that the graph has finished."""
    alike = (said.ids[:count] == plain.ids) | ~said.done[:count]
    # Of laws that are nearly equal, any α makes the same mixture.
    close = [
        torch.isclose(column[:count], plain.columns[name], CLOSE, CLOSE) | ~alike | ~said.done[:count]
        for name, column in zip(COLUMNS, said.columns, strict=True)
        if name != "alpha"
    ]
    return bool(torch.stack(close).all()) and 2 * int(alike.sum()) >= count


@cache
def _graph(function: Callable[..., Said], backend: str) -> _Graph:
    return _Graph(function, backend)
