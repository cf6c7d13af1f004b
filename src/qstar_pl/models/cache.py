"""Caches of transformers' models as a batch of rows: repeated, chosen from, and cut."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from qstar_pl.errors import UserError
from qstar_pl.models.alignment import Alignment
from qstar_pl.models.padding import pad_left


def repeat_cache(cache: Any, rows: int, samples: int) -> Any:
    """Return a cache of `rows` sequences, each repeated `samples` times, copies adjacent.

    Raises:
        AttributeError: if it cannot be repeated.

    """
    if samples == 1:
        return cache
    if isinstance(cache, list | tuple):  # RWKV's states
        return [state.repeat_interleave(samples, dim=0) for state in cache]
    if any(hasattr(layer, "recurrent_states") for layer in cache.layers):
        # States cannot be repeated by name, but rows can be chosen, and one of them twice.
        cache.reorder_cache(torch.arange(rows, device=_device(cache)).repeat_interleave(samples))
    else:
        cache.batch_repeat_interleave(samples)
    return cache


def select_cache(cache: Any, rows: Tensor) -> Any:
    """Return a cache of the sequences `rows` [n] alone, in that order."""
    if isinstance(cache, list | tuple):
        return [state.index_select(0, rows.to(state.device)) for state in cache]
    cache.reorder_cache(rows)
    return cache


def can_be_cut(cache: Any) -> bool:
    """Return whether a cache holds keys and values token by token, and nothing else: a recurrent state cannot go back.

    A kind of layer that is not known may keep what a cut would not reach, so it counts as one that cannot be cut.
    """
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in getattr(cache, "layers", [None]))


def smallest_window(cache: Any) -> int | None:
    """Return the size of the smallest sliding window of a cache's layers; None where there is none."""
    sizes = [getattr(layer, "sliding_window", None) for layer in getattr(cache, "layers", [])]
    return min((size for size in sizes if size is not None), default=None)


def cut_cache(cache: Any, alignment: Alignment) -> None:
    """Take the last tokens of every sequence away, in place.

    Raises:
        UserError: if a sliding window has moved on and forgotten what would be seen again.

    """
    # All layers are checked before the first one is changed.
    for layer in cache.layers:
        window = getattr(layer, "sliding_window", None)
        if window is not None and alignment.columns >= window:
            raise UserError(
                "prompt and answer must stay below the model's sliding window for a sampler that takes tokens back, "
                f"got {alignment.columns} columns and a window of {window}"
            )
    for layer in cache.layers:
        # [rows, heads, columns, width]
        layer.keys, layer.values = alignment.apply(layer.keys, -2), alignment.apply(layer.values, -2)
        # Layers with a sliding window count their columns themselves.
        if hasattr(layer, "cumulative_length"):
            layer.cumulative_length = alignment.kept


def join_caches(cache: Any, other: Any, columns: int) -> None:
    """Put the sequences of `other` behind those of `cache`, in place; all end in the last of `columns`."""
    for own, joining in zip(cache.layers, other.layers, strict=True):
        for name in ("keys", "values"):
            # [rows, heads, columns, width]
            both = [pad_left(getattr(layer, name), columns, -2) for layer in (own, joining)]
            setattr(own, name, torch.cat([both[0], both[1].to(both[0])]))


def trim_cache(cache: Any, count: int) -> None:
    """Drop the first `count` columns, in place."""
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[..., count:, :], layer.values[..., count:, :]


def _device(cache: Any) -> torch.device | None:
    return next((layer.device for layer in cache.layers if getattr(layer, "device", None) is not None), None)
