"""Which values a model's weights have, in whatever layout an engine keeps them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_FIRST, _SECOND = 0x7FEB352D, -0x7B935975
"""Odd: products modulo 2^32 can be undone."""
_CHUNK = 1 << 20


@torch.no_grad()
def value_fingerprint(tensors: Iterable[Tensor], dtype: torch.dtype) -> str:
    """Return "dtype:" and 16 letters for the values of all elements together, rounded to `dtype`.

    A sum modulo 2^64 of one number per element, which is a one-to-one function of its 32 bits: a single weight that
    changes always changes the sum, several do with probability 1 − 2^−32. Neither names nor places count, nor zeros, so
    the same weights give the same letters where an engine has joined, transposed or padded them; weights that only
    changed places are not told apart. `models/fingerprint.py` tells those apart too, of models in one layout.

    Args:
        tensors: parameters, tied ones once, on any device; float32 or shorter (float64 counts as float32).
        dtype: what the engine computes with, float32 or shorter.

    """
    totals: dict[torch.device, Tensor] = {}  # one transfer for all of a device's tensors
    for tensor in tensors:
        for part in tensor.detach().reshape(-1).split(_CHUNK):
            found = _sum(part.to(dtype))
            totals[part.device] = found + totals[part.device] if part.device in totals else found
    total = sum(int(one) for one in totals.values())
    return f"{str(dtype).removeprefix('torch.')}:{total % 2**64:016x}"


def _sum(values: Tensor) -> Tensor:
    # + 0.0 makes zeros of both signs one; exact for any shorter type.
    mixed = (values.float() + 0.0).view(torch.int32) * _FIRST  # int32 wraps around: modulo 2^32
    mixed ^= (mixed >> 15) & 0x1FFFF  # >> brings copies of the sign
    mixed *= _SECOND
    return mixed.sum(dtype=torch.int64)
