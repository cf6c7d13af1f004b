"""Spreading a model over processes block by block (FSDP2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.distributed import get_rank
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.models.blocks import blocks_of
from qstar_pl.models.configure import DTYPES
from qstar_pl.models.placement import Placement

DType = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Sharding:
    """Options of `fully_shard`. Parameters, gradients and optimizer state are split evenly over the processes."""

    param_dtype: DType | None = None
    """Type in which parameters are gathered and computed with; null: the type they are kept in. bfloat16 on GPUs."""
    reduce_dtype: DType = "float32"
    """Type in which gradients are summed over processes."""
    reshard_after_forward: bool = True
    """Free a block's gathered parameters after its forward pass, and gather them again in the backward pass."""
    cpu_offload: bool = False
    """Keep parameters, gradients and optimizer state in host memory."""
    activation_checkpointing: bool = False
    """Run each block's forward pass again in the backward pass, and keep only what lies between blocks."""

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `fully_shard`."""
        param_dtype = None if self.param_dtype is None else DTYPES[self.param_dtype]
        # torch reduces gradients in param_dtype unless told otherwise, which only matters for half precision.
        reduce_dtype = None if param_dtype in (None, torch.float32) else DTYPES[self.reduce_dtype]
        return {
            "mp_policy": MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=reduce_dtype),
            # Memory can only be pinned for an accelerator; without one the option can still be tried out.
            "offload_policy": CPUOffloadPolicy(pin_memory=torch.accelerator.is_available())
            if self.cpu_offload
            else OffloadPolicy(),
            "reshard_after_forward": self.reshard_after_forward,
        }

    def shard(self, module: nn.Module, mesh: DeviceMesh) -> None:
        """Split the module's parameters over `mesh`, each transformer block a unit of its own, and the rest one."""
        blocks = blocks_of(module)
        if self.activation_checkpointing and blocks:
            inner = set(blocks)
            apply_activation_checkpointing(module, check_fn=lambda part: part in inner)
            # Each block lies in a wrapper now, which is the unit to shard.
            blocks = [part for part in module.modules() if getattr(part, "_checkpoint_wrapped_module", None) in inner]
        # `RewardModel` calls the head by itself, outside the model's forward pass: it must be gathered by itself.
        head = getattr(module, "score", None)
        for unit in (*blocks, *([head] if isinstance(head, nn.Module) else [])):
            fully_shard(unit, mesh=mesh, **self.options())
        fully_shard(module, mesh=mesh, **self.options())  # last: it takes the parameters that no unit has yet


class ShardedPlacement(Placement):
    """Rank 0 reads the weights, all shard, and every rank is sent its part: no other rank ever holds a whole model."""

    def __init__(self, sharding: Sharding, mesh: DeviceMesh, device: torch.device) -> None:
        """Describe the placement.

        Args:
            sharding: how.
            mesh: the processes that share each parameter.
            device: where this process computes.

        """
        self.sharding = sharding
        self.mesh = mesh
        self.device = torch.device("cpu") if sharding.cpu_offload else device

    @property
    def empty(self) -> bool:
        """See `Placement.empty`."""
        return get_rank() != 0

    def place(self, model: PreTrainedModel) -> PreTrainedModel:
        """See `Placement.place`."""
        weights = {} if self.empty else {key: value.detach() for key, value in model.state_dict().items()}
        self.sharding.shard(model, self.mesh)
        if self.empty:  # only now, so that memory is taken for this rank's part alone
            _materialise(model, self.device)
        # As one rank read the file, one rank sends it: parameters one after the other, so nothing is held twice.
        options = StateDictOptions(
            full_state_dict=True, broadcast_from_rank0=True, cpu_offload=self.sharding.cpu_offload, strict=False
        )
        set_model_state_dict(model, weights, options=options)
        return model


def _materialise(module: nn.Module, device: torch.device) -> None:
    """Give parameters on the meta device memory, with any content; buffers are real already and keep theirs."""
    # to_empty replaces buffers too, with memory of any content.
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.to_empty(device=device)
    for name, buffer in module.named_buffers():
        buffer.copy_(buffers[name])


def shard_rest(module: nn.Module, sharding: Sharding, mesh: DeviceMesh) -> None:
    """Shard what `ShardedPlacement` has not met: heads, and models of sources that know nothing of placements.

    Every process must hold the same values of them. A parameter left whole would be trained on this process's
    gradient alone, and would break norms over mixed kinds of tensors.
    """
    for child in module.children():
        parameters = list(child.parameters())
        if not parameters or all(isinstance(parameter, DTensor) for parameter in parameters):
            continue
        if any(isinstance(parameter, DTensor) for parameter in parameters):
            shard_rest(child, sharding, mesh)
        else:
            sharding.shard(child, mesh)
    if own := [name for name, value in module.named_parameters(recurse=False) if not isinstance(value, DTensor)]:
        raise UserError(f"{type(module).__name__} must keep its parameters in submodules to be sharded, got {own}")


def sharded_parts(module: nn.Module) -> list[FSDPModule]:
    """Return the units of a model, each of which is gathered and freed by itself."""
    return [part for part in module.modules() if isinstance(part, FSDPModule)]
