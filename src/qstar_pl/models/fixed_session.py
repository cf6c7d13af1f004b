"""A growing batch whose tokens are read by one compiled pass each, over a cache of fixed size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize, ref

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qstar_pl.models.alignment import Alignment
from qstar_pl.models.compiling import Compiling, bucket, compiled, failures, free_callers, notice, reason
from qstar_pl.models.fixed_cache import FixedCache, can_be_fixed
from qstar_pl.models.fixed_rooms import give_back, room_of, take
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.placement import in_parts
from qstar_pl.models.probe import same
from qstar_pl.models.reading import Reader, inside
from qstar_pl.models.sessions import CachedSession
from qstar_pl.types import PromptBatch

if TYPE_CHECKING:
    from qstar_pl.models.language_model import LanguageModel

SHORTEST = 64
"""Columns of the smallest fixed cache."""

Pass = Callable[[Reader, Tensor, Tensor, Tensor, Any], Tensor]

_PASSES: WeakKeyDictionary[PreTrainedModel, dict[tuple[object, ...], Pass]] = WeakKeyDictionary()
"""The compiled passes of each model that were tried and found right, by backend, rows and columns."""
_REFUSED: WeakKeyDictionary[PreTrainedModel, str] = WeakKeyDictionary()
"""Why models are not compiled."""


class FixedSession(CachedSession):
    """Reads one token per row by a compiled pass, and does everything else as a `CachedSession`.

    The first compiled pass of each shape is held against the same pass done plainly. A model that cannot be compiled,
    or says something else then, goes on as a `CachedSession`, with one notice.
    """

    def __init__(self, owner: LanguageModel, prompts: PromptBatch, samples: int, how: Compiling) -> None:
        """Read the prompts.

        Args:
            owner: the model.
            prompts: padded on the left.
            samples: rows per prompt.
            how: it is compiled.

        """
        super().__init__(owner, prompts, samples)
        self._how = how
        self._end = prompts.prompt_ids.shape[1] + how.tokens  # columns that are needed at most, unless more are asked
        self._fixed: FixedCache | None = None
        self._given_back: finalize[..., FixedSession] | None = None  # when this session is no more
        self._rows = 0  # of the last one
        self._pass: Pass = _pass
        if owner.model not in _REFUSED and (why := _obstacle(owner, self._cache)):
            _refuse(owner.model, why)

    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""
        self._release()
        super().select(rows)

    def _keep(self, alignment: Alignment) -> None:
        self._release()
        super()._keep(alignment)

    def _trim(self, count: int) -> None:
        self._release()
        super()._trim(count)

    def _take_in(self, other: CachedSession) -> None:
        for session in (self, other):
            if isinstance(session, FixedSession):
                session._release()
        super()._take_in(other)

    def _read(self, token_ids: Tensor) -> Tensor:
        model = self._owner.model
        if token_ids.shape[1] > 1 or model in _REFUSED:
            self._release()
            return super()._read(token_ids)
        if self._fixed is None or self._fixed.full:
            self._release()
            columns, count = self._cache.get_seq_length(), len(token_ids)
            # Rows that leave do not change the shape before half of them have: a pass takes long to compile.
            if count > self._rows or 2 * count <= self._rows:
                self._rows = bucket(count)
            shape = self._rows, bucket(max(self._end, columns + 1), least=SHORTEST)
            known = _PASSES.setdefault(model, {})
            key = (self._how.backend, token_ids.device, *shape)
            mask = None if self._mask is None else self._mask[:, :columns]
            if key not in known:
                return self._tried(token_ids, mask, shape, key)
            self._fix(mask, shape)
            self._pass = known[key]
        return self._compiled(token_ids)

    def _compiled(self, token_ids: Tensor) -> Tensor:
        fixed = self._fixed
        assert fixed is not None, "made by _read"
        torch.compiler.cudagraph_mark_step_begin()
        with eval_mode(self._owner.model):
            ids, positions = fixed.wide(token_ids), fixed.wide(self._positions)
            logits = self._pass(self._owner.reader, ids, fixed.mask, positions, fixed.cache)
        fixed.columns += 1
        # A CUDA graph writes the next logits into the same memory.
        logits = logits.clone() if logits.is_cuda else logits
        return logits[: fixed.live]

    def _tried(self, token_ids: Tensor, mask: Tensor | None, shape: tuple[int, int], key: tuple[object, ...]) -> Tensor:
        """Read the token plainly and by a newly compiled pass; return what the plain one says."""
        model = self._owner.model
        # What was read so far stays as it is: a growing cache makes new tensors.
        before = [(layer.keys, layer.values) for layer in self._cache.layers]
        plain = super()._read(token_ids)
        after = [(layer.keys, layer.values) for layer in self._cache.layers]
        _set(self._cache, before)
        self._fix(mask, shape)
        self._pass = compiled(_pass, self._how.backend, token_ids.device)
        try:
            said = self._compiled(token_ids)
            why = None if same(plain[:, -1], said[:, -1]) else "it says something else than the plain model"
        except failures() as error:
            why = reason(error)
        free_callers()
        if why is None:
            _PASSES[model][key] = self._pass
        else:
            _refuse(model, why)
            self._let_go()
            _set(self._cache, after)
        return plain

    def _fix(self, mask: Tensor | None, shape: tuple[int, int]) -> None:
        """Put what was read so far into a fixed cache, one that an earlier session has left if possible."""
        model, room = self._owner.model, room_of(*shape, self._cache.layers[0].keys)
        self._fixed = FixedCache(self._cache, mask, *shape, take(model, room))
        self._given_back = finalize(self, give_back, ref(model), room, self._fixed.cache)
        self._given_back.atexit = False

    def _release(self) -> None:
        if self._fixed is not None:
            self._fixed.release()
            self._let_go()

    def _let_go(self) -> None:
        """Leave the fixed cache's tensors to the growing one, and to nobody else."""
        assert self._given_back is not None, "made with the fixed cache"
        self._given_back.detach()
        self._fixed = None


def _pass(reader: Reader, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
    return reader.step(ids, mask, positions, cache)[0]


def _set(cache: Any, tensors: list[tuple[Tensor, Tensor]]) -> None:
    for layer, (keys, values) in zip(cache.layers, tensors, strict=True):
        layer.keys, layer.values = keys, values


def _obstacle(owner: LanguageModel, cache: Any) -> str | None:
    """Return why a model cannot be compiled, as far as that is known before it is tried."""
    if in_parts(owner.model):
        return "its parameters are spread over processes"
    if not can_be_fixed(cache):
        return "its cache is not one of keys and values of all tokens (a sliding window, a recurrent state)"
    if not getattr(inside(owner.model), "_can_compile_fullgraph", False):
        return "transformers does not say that it can be compiled as one graph"
    return None


def _refuse(model: PreTrainedModel, why: str) -> None:
    _REFUSED[model] = why
    notice(f"{model.config.model_type} is not compiled for decoding, and decodes as without torch_compile: {why}")
