"""A model's weights as another engine needs them: whole, adapters added, under the names of its own checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from qstar_pl.errors import UserError

_WRAPPER = "_checkpoint_wrapped_module."


@torch.no_grad()
def whole_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, values) of every parameter, tied ones once, as `state_dict` of the model without adapters has them.

    One at a time, and only those that adapters or sharding change are copied: no second model is held. Under sharding
    every process must go through all of them. The tensors must not be written to.

    Raises:
        UserError: if parameters are flattened (the first FSDP), so that they have neither names nor shapes.

    """
    adapted = {name: part for name, part in model.named_modules() if hasattr(part, "get_base_layer")}
    for name, parameter in model.named_parameters():
        if "_flat_param" in name or "_fsdp_wrapped_module" in name:
            raise UserError("trainer.strategy must be fsdp2 (or not shard) for an engine's weights, got FSDP's first")
        owner, _, last = name.rpartition(".base_layer.")
        if owner not in adapted:
            # What is left below an adapted layer is the adapters' own, which are added to its weight.
            if not any(name.startswith(f"{layer}.") for layer in adapted):
                yield name.replace(_WRAPPER, ""), _whole(parameter)
            continue
        values = _whole(parameter)
        if last == "weight":
            part = adapted[owner]
            for adapter in part.active_adapters:
                values = values + part.get_delta_weight(adapter).to(values)
        yield f"{owner}.{last}".replace(_WRAPPER, ""), values


def _whole(parameter: Tensor) -> Tensor:
    values = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
    return values.detach()
