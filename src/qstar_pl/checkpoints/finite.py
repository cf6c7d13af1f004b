"""Whether weights, gradients and what an optimizer keeps are numbers that training can go on from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer


def all_finite(tensors: Iterable[Tensor]) -> Tensor:
    """Return [] bool, on the device and without waiting for it: whether every norm is finite.

    In float32 a norm is infinite as soon as an entry's square is (above 1.8e19, the root of the largest float32). Such
    a weight leaves no layer norm finite, and such a gradient ruins Adam's second moment, though both are still numbers
    themselves. Of sharded tensors the part of this process is read.
    """
    # One fused call per device and dtype instead of one per tensor.
    groups: defaultdict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        own = _own(tensor)
        if own.is_floating_point():
            groups[own.device, own.dtype].append(own)
    found = [torch.stack(_norms(group)).isfinite().all() for group in groups.values()]
    if not found:
        return torch.tensor(True)
    return torch.stack([one.to(found[0].device) for one in found]).all()


def first_not_finite(named: Iterable[tuple[str, Tensor]]) -> tuple[str, float] | None:
    """Return the first tensor that `all_finite` objects to: its name and what stands in it; None if there is none."""
    for name, tensor in named:
        if not bool(all_finite([tensor])):
            own = _own(tensor).flatten()
            wrong = own[~own.isfinite()]
            # With none, the norm overflowed: the largest entry is to blame.
            return name, float(wrong[0] if len(wrong) else own[own.abs().argmax()])
    return None


def states_of(optimizers: Iterable[Optimizer], names: Mapping[Tensor, str]) -> list[tuple[str, Tensor]]:
    """Return (name, tensor) of all that optimizers keep per parameter.

    Args:
        optimizers: after any number of steps.
        names: of the parameters.

    """
    return [
        (f"the optimizer's {key} of {names.get(parameter, 'a parameter')}", value)
        for optimizer in optimizers
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    ]


def _own(tensor: Tensor) -> Tensor:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def _norms(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    # A norm in float16 would overflow above 65,504.
    narrow = tensors[0].dtype in (torch.float16, torch.bfloat16)
    norms: tuple[Tensor, ...] = torch._foreach_norm(tensors, 2, dtype=torch.float32 if narrow else None)
    return norms
