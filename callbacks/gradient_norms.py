"""Squared norms of gradients, be they whole, replicated or sharded over ranks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn import Parameter
from torch.optim import Optimizer

from .reductions import widen


def parameters_of(optimizers: Iterable[Optimizer]) -> list[Parameter]:
    """Return the parameters of the optimizers that have a gradient now."""
    return [
        parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]


def local_gradient(parameter: Parameter) -> Tensor:
    """Return what this rank holds of the gradient, as a plain tensor that shares its memory."""
    gradient = parameter.grad
    assert gradient is not None
    return gradient.to_local().detach() if isinstance(gradient, DTensor) else gradient.detach()


def share(trainer: Trainer, parameter: Parameter) -> float:
    """Return 1 / (number of ranks that hold each element of this rank's gradient).

    Squared norms of what the ranks hold, times their shares, add up over the ranks to the squared norm of the whole;
    without them a replicated parameter counts once per rank, and a sharded one treated as replicated loses √ranks.
    """
    world = trainer.world_size
    gradient = parameter.grad
    if isinstance(gradient, DTensor):
        # A tensor can be sharded over some dimensions of the mesh and replicated over the others (hybrid sharding).
        sizes = [gradient.device_mesh.size(i) for i, placed in enumerate(gradient.placements) if placed.is_shard()]
        return math.prod(sizes) / world
    if isinstance(trainer.strategy, FSDPStrategy):  # FSDP1 keeps plain tensors, but shards them
        return _fsdp1_shards(trainer.strategy, world) / world
    return 1.0 / world  # replicated: one process, or DDP after its all-reduce


def _fsdp1_shards(strategy: FSDPStrategy, world: int) -> int:
    name = strategy.sharding_strategy.name
    if name == "NO_SHARD":
        return 1
    if name.startswith(("HYBRID", "_HYBRID")):
        # A mesh is (replicas, shards); without one, FSDP shards within a node.
        mesh = strategy.kwargs.get("device_mesh")
        if isinstance(mesh, tuple):
            return int(mesh[1])
        return int(mesh.size(1)) if mesh is not None else torch.accelerator.device_count()
    return world


def squared_norm(gradients: Mapping[Parameter, Tensor], shares: Mapping[Parameter, float]) -> Tensor:
    """Return Σ share · ‖gradient‖² [] of this rank, on the device.

    Args:
        gradients: local gradients of at least one parameter.
        shares: share of each parameter.

    """
    # One fused norm for all gradients of a share, instead of one per parameter.
    by_share: defaultdict[float, list[Tensor]] = defaultdict(list)
    for parameter, gradient in gradients.items():
        by_share[shares[parameter]].append(gradient)
    norms = [value * widen(torch.nn.utils.get_total_norm(group)).square() for value, group in by_share.items()]
    return torch.stack(norms).sum()
