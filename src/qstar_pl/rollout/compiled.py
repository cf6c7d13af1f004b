"""A token of every row by one compiled graph: log-probabilities, α, law, draw and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import pad

from qstar_pl.models.compiling import bucket, compiled, compiling_now, free_callers, notice, reason
from qstar_pl.qstar.deferred import Deferred, Report, current
from qstar_pl.rollout.law import Law
from qstar_pl.rollout.one_pass import compiles, one_pass_drawing
from qstar_pl.rollout.token import Draw, Drawn, drawing
from qstar_pl.rollout.truncation import Truncation

LARGEST = 2**14
"""Rows × vocabulary on a CPU, beyond which laws other than q* are not compiled, and q* is in another way (see
`one_pass`). A graph of this kind looks at no value: each row takes all passes of the solver, with every precaution.
Operation by operation most take one pass or two, and that weighs more than what fusing saves (8 rows, one thread: 1.5
ms against 0.5 compiled for 600 tokens, 11 against 26 for 50257)."""
CLOSE = 1e-4
"""How far the columns of a newly compiled graph may lie from those of the plain function."""


def compiled_drawing(law: Law, truncation: Truncation) -> Draw | None:
    """Return `token.drawing` compiled, where `compiling_now` or the law asks for it; None: they do not."""
    how = compiling_now()
    if how is None:  # then the models are not, but `KLSymmetricAlpha.solver` may still say that q* is
        return one_pass_drawing(law, truncation) if compiles(law) else None
    try:
        hash(law)
    except TypeError as error:
        notice(f"{type(law).__name__} is not compiled, and drawn from as without torch_compile: {error}")
        return None
    return _CompiledDraw(law, truncation, how.backend)


@dataclass(frozen=True)
class _Graph:
    """The function for one shape."""

    call: Callable[..., tuple[Tensor, list[Tensor], list[Tensor]]]
    """(logits of each role, uniforms) → ids, columns in the order of `columns`, masks in that of `reports`."""
    columns: tuple[str, ...]
    reports: Mapping[str, Report]
    """What is said if a row of the mask was found, by the name of the check."""


_GRAPHS: dict[tuple[object, ...], _Graph | None] = {}
"""By law, truncation, backend and shape; None: it cannot be compiled."""


class _CompiledDraw:
    """`Draw` over batches that are filled up to a bucket of rows, so that few shapes are compiled."""

    def __init__(self, law: Law, truncation: Truncation, backend: str) -> None:
        self._key = (law, truncation, backend)
        self._plain, self._backend = drawing(law, truncation), backend
        self._large = one_pass_drawing(law, truncation, backend) or self._plain
        self._rows = 0

    def __call__(self, logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        """See `Draw`."""
        count, vocab = next(iter(logits.values())).shape
        # Rows that end do not change the shape before three quarters of them have: a graph costs seconds.
        if count > self._rows or 4 * count <= self._rows:
            self._rows = bucket(count)
        if uniforms.device.type == "cpu" and self._rows * vocab > LARGEST:
            return self._large(logits, uniforms)
        key = (*self._key, self._rows, *((role, x.dtype, x.device, x.shape[1]) for role, x in logits.items()))
        if key not in _GRAPHS:
            return self._tried(key, logits, uniforms)
        graph = _GRAPHS[key]
        return self._plain(logits, uniforms) if graph is None else self._run(graph, logits, uniforms)

    def _run(self, graph: _Graph, logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        count = len(uniforms)
        spare = self._rows - count
        wide = [pad(said, (0, 0, 0, spare)) if spare else said for said in logits.values()]
        with torch.autocast(uniforms.device.type, enabled=False):
            ids, columns, masks = graph.call(*wide, pad(uniforms, (0, spare)))
        if uniforms.is_cuda:  # a CUDA graph writes the next token into the same memory
            ids, columns, masks = ids.clone(), [x.clone() for x in columns], [x.clone() for x in masks]
        found = dict(zip(graph.reports, (mask[:count] for mask in masks), strict=True))
        if (deferred := current()) is not None:
            for name, mask in found.items():
                deferred.note(name, mask, graph.reports[name])
        elif found and bool(torch.stack([*found.values()]).any()):
            # Rows that need more passes, or cannot be drawn from: the plain function takes them, or says why not.
            return self._plain(logits, uniforms)
        return Drawn(ids[:count], dict(zip(graph.columns, (column[:count] for column in columns), strict=True)))

    def _tried(self, key: tuple[object, ...], logits: Mapping[str, Tensor], uniforms: Tensor) -> Drawn:
        """Draw plainly and by a newly compiled graph; return what the plain function says."""
        plain = self._plain(logits, uniforms)
        try:
            graph = self._graph(logits, uniforms)
            said = self._run(graph, logits, uniforms)
            why = None if _same(plain, said) else "it says something else than the plain function"
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            why = reason(error)
        free_callers()
        _GRAPHS[key] = graph if why is None else None
        if why is not None:
            notice(f"{type(self._key[0]).__name__} is not compiled, and drawn from as without torch_compile: {why}")
        return plain

    def _graph(self, logits: Mapping[str, Tensor], uniforms: Tensor) -> _Graph:
        roles = list(logits)
        names: list[str] = []
        reports: dict[str, Report] = {}

        def function(*given: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
            *said, numbers = given
            checks = _Checks()
            every = torch.arange(len(numbers), device=numbers.device)
            with checks.token(0, every, torch.ones_like(every, dtype=torch.bool)):
                drawn = self._plain(dict(zip(roles, said, strict=True)), numbers)
            names[:] = drawn.columns
            reports.update(checks.reports)
            return drawn.ids, [*drawn.columns.values()], [*checks.masks.values()]

        wide = [torch.zeros(self._rows, *x.shape[1:], dtype=x.dtype, device=x.device) for x in logits.values()]
        with torch.autocast(uniforms.device.type, enabled=False):
            # Traced as it runs, so that a law may be any Python whose shapes do not depend on values.
            graph = make_fx(function, tracing_mode="fake")(*wide, uniforms.new_zeros(self._rows))
        return _Graph(compiled(graph, self._backend, uniforms.device), tuple(names), reports)


class _Checks(Deferred):
    """Checks of one token as a graph's results."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: dict[str, Tensor] = {}
        self.reports: dict[str, Report] = {}

    def note(self, name: str, mask: Tensor, report: Report) -> None:
        """See `Deferred.note`."""
        self.masks[name] = self.masks[name] | mask if name in self.masks else mask
        self.reports[name] = report


def _same(plain: Drawn, said: Drawn) -> bool:
    """Return whether both draw alike; a number that falls between two tokens may be taken for either's."""
    alike = plain.ids == said.ids
    # Of laws that are nearly equal, any α makes the same mixture.
    others = [name for name in plain.columns if name != "alpha"]
    close = [
        (torch.isclose(said.columns[name], plain.columns[name], CLOSE, CLOSE, equal_nan=True) | ~alike).all()
        for name in others
    ]
    return bool(torch.stack([*close, 2 * alike.sum() >= len(alike)]).all())
