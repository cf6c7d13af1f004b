"""Which weights a model has, to the last bit, in 16 letters."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from qstar_pl.hashing import hasher

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_FACTOR = -0x61C8864680B583EB
"""Odd, so that a number which changes changes the sum; 2^64 over the golden ratio, as a signed integer."""
_CHUNK = 1 << 20
_WRAPPER = "_checkpoint_wrapped_module."


@torch.no_grad()
def fingerprint_of(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return a hash of names, shapes, dtypes and every bit of tensors; the same however they are sharded.

    The bits of element i, read as an integer, count (2i + 1) · constant times in a sum modulo 2^64, so that parts of a
    tensor may be added up in any order, by any number of processes. It tells models apart that are not the same; it is
    no proof against intent. Under sharding every process must call it.

    Args:
        tensors: (name, tensor), in any order.

    """
    named = sorted((name.replace(_WRAPPER, ""), tensor) for name, tensor in tensors)
    sums = [_sum(*_local(tensor)) for _, tensor in named]
    _add_up([tensor for _, tensor in named], sums)
    digest = hasher()
    for (name, tensor), total in zip(named, sums, strict=True):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:{int(total)};".encode())
    return digest.hexdigest()


def _local(tensor: Tensor) -> tuple[Tensor, int]:
    """Return this process's part of a tensor, and how many numbers of the whole come before it."""
    if not isinstance(tensor, DTensor):
        return tensor, 0
    # FSDP shards along dimension 0, so a part is one stretch of the flattened tensor.
    _, first = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    behind = tensor.shape[1:].numel()
    return tensor.to_local(), (first[0] if first else 0) * behind


def _sum(tensor: Tensor, offset: int) -> Tensor:
    # The bits as integers: −0.0 and 0.0 differ, and NaN equals itself.
    bits = tensor.detach().reshape(-1).contiguous().view(_INTEGERS[tensor.element_size()])
    places = 2 * torch.arange(min(_CHUNK, bits.numel()), device=bits.device) + 1
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, bits.numel(), _CHUNK):
        chunk = bits[start : start + _CHUNK].to(torch.int64)
        # int64 wraps around, which is the sum modulo 2^64.
        total += (chunk * (places[: len(chunk)] + 2 * (offset + start))).sum()
    return total * _FACTOR


def _add_up(tensors: list[Tensor], sums: list[Tensor]) -> None:
    """Add up the sums of all processes for each sharded tensor, in place."""
    sharded = [(index, tensor) for index, tensor in enumerate(tensors) if isinstance(tensor, DTensor)]
    if not sharded:
        return
    mesh = sharded[0][1].device_mesh
    # One all-reduce for all of them.
    together = torch.stack([sums[index] for index, _ in sharded]).to(mesh.device_type)
    distributed.all_reduce(together, group=mesh.get_group())
    for (index, _), total in zip(sharded, together, strict=True):
        sums[index] = total
