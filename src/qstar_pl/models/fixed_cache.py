"""Keys and values of a batch in tensors of a fixed size, so that every token's pass has the same shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache
from transformers.cache_utils import DynamicLayer, StaticLayer


class FixedCache:
    """Rows and columns of a growing cache at the beginning of larger tensors; what lies beyond them is masked out.

    It is as deep as the growing cache, which gives its tensors up to it and gets them back by `release`.
    """

    def __init__(self, growing: Any, mask: Tensor | None, rows: int, length: int, room: Cache | None = None) -> None:
        """Take the tensors over.

        Args:
            growing: transformers' cache of attention layers, see `can_be_fixed`.
            mask: [live, columns] bool, where its tokens stand; None: everywhere.
            rows: at least as many as it has.
            length: in columns, more than it has.
            room: the `cache` of an earlier one of as many rows and columns and the same model, to be written over.

        """
        first = growing.layers[0].keys
        self._growing = growing
        self.live, self.columns = first.shape[0], first.shape[-2]
        self.rows, self.length = rows, length
        new = Cache(layers=[StaticLayer(max_cache_len=length) for _ in growing.layers])
        self.cache = new if room is None else room
        for fixed, layer in zip(self.cache.layers, growing.layers, strict=True):
            # It looks at shapes only, and makes tensors whose addresses a CUDA graph may rely on.
            if room is None:
                like = (values[:1].expand(rows, -1, -1, -1) for values in (layer.keys, layer.values))
                fixed.lazy_initialization(*like)
            else:  # what is masked out has weight 0, but 0 times the NaN of a rollout that diverged is NaN
                fixed.keys.zero_()
                fixed.values.zero_()
            fixed.keys[: self.live, :, : self.columns] = layer.keys
            fixed.values[: self.live, :, : self.columns] = layer.values
            fixed.cumulative_length.fill_(self.columns)
            layer.keys = layer.values = None  # layer by layer, so that only one of them is there twice
        # Columns that are not written yet lie ahead of every token, where a causal model does not look.
        self.mask = torch.ones(rows, length, dtype=torch.bool, device=first.device)
        if mask is not None:
            self.mask[: self.live, : self.columns] = mask

    @property
    def full(self) -> bool:
        """Whether there is no column left for another token."""
        return bool(self.columns == self.length)

    def wide(self, values: Tensor) -> Tensor:
        """Return `values` [live, 1] with zeros for the rows that are not there [rows, 1]."""
        return values if self.live == self.rows else pad(values, (0, 0, 0, self.rows - self.live))

    def release(self) -> None:
        """Give the tokens that have been read back to the growing cache, without a copy."""
        for fixed, layer in zip(self.cache.layers, self._growing.layers, strict=True):
            layer.keys = fixed.keys[: self.live, :, : self.columns]
            layer.values = fixed.values[: self.live, :, : self.columns]


def can_be_fixed(cache: Any) -> bool:
    """Return whether a cache holds the keys and values of all tokens: no sliding window, no recurrent state."""
    return all(type(layer) is DynamicLayer for layer in getattr(cache, "layers", [None]))
