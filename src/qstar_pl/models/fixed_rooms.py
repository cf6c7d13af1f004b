"""Fixed caches that finished rollouts leave to later ones: a CUDA graph belongs to the tensors it was recorded with."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

KEPT = 2
"""Caches that are kept for a model between its rollouts: those of training, and those of validation."""

_FREE: WeakKeyDictionary[PreTrainedModel, dict[Hashable, Cache]] = WeakKeyDictionary()
"""What no session uses at present, by shape, the last to be given back at the end."""


def room_of(rows: int, length: int, like: Tensor) -> Hashable:
    """Return what two caches must have in common for one to take the other's place."""
    # A tensor that was made in inference mode cannot be written to outside it.
    return rows, length, like.shape[1:2] + like.shape[3:], like.dtype, like.device, torch.is_inference_mode_enabled()


def take(model: PreTrainedModel, room: Hashable) -> Cache | None:
    """Return a cache that is free, which is then no longer; None: there is none."""
    return _FREE.get(model, {}).pop(room, None)


def give_back(model: weakref.ref[PreTrainedModel], room: Hashable, cache: Cache) -> None:
    """Keep a cache that nothing uses any more, and let go of the one that has waited longest."""
    if (owner := model()) is None:
        return
    free = _FREE.setdefault(owner, {})
    free.pop(room, None)
    free[room] = cache
    while len(free) > KEPT:
        del free[next(iter(free))]
