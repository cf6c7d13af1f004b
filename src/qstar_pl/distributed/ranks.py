"""What the processes of a distributed run find out together; a single process just gets its own answer."""

from typing import TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the element-wise sum of `values` over all ranks, which must all call; no gradient flows."""
    if world_size() == 1:
        return values
    total = values.detach().clone(memory_format=torch.contiguous_format)  # all_reduce works in place
    distributed.all_reduce(total)
    return total


def gathered(values: Tensor) -> Tensor:
    """Return `values` of every rank, in their order, as [ranks, …]; all must call, with the same shape."""
    if world_size() == 1:
        return values[None]
    of_ranks = [torch.empty_like(values) for _ in range(world_size())]
    distributed.all_gather(of_ranks, values.contiguous())
    return torch.stack(of_ranks)


def anywhere(flag: Tensor) -> bool:
    """Return whether `flag` [] bool is True on any rank; all must call."""
    if world_size() > 1:
        flag = flag.to(torch.int32)  # the maximum of flags is their "or"
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag)


def said_by_ranks(own: T | None) -> list[T]:
    """Return what the ranks have to say, in their order, without those that say nothing; all must call."""
    said: list[T | None] = [own]
    if world_size() > 1:
        said = [None] * world_size()
        distributed.all_gather_object(said, own)
    return [one for one in said if one is not None]
