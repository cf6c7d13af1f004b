"""A fingerprint of a model's weights, 16 hexadecimal digits."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from qstar_pl.hashing import hasher
from qstar_pl.models.adapters_off import AdaptersOff

MOST = 4096
"""Numbers read of each tensor, evenly spaced."""


@torch.no_grad()
def fingerprint(module: nn.Module) -> str:
    """Return a hash of names, shapes, dtypes and up to 4096 evenly spaced numbers of every tensor of a module.

    A training step changes nearly every number, so a sample of them tells models apart, and a model of many gigabytes
    is not read as a whole. It does not protect against deliberate forgery.

    A model that has its weights in another one (`PolicyBase`) has the fingerprint of those, too.

    A sharded model has the fingerprint of the whole one; all processes must then call this.
    """
    digest = hasher()
    for name, tensor in sorted((module.state_dict() | _borrowed(module)).items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        flat = whole.detach().reshape(-1)
        # A stride of ⌈numel / MOST⌉. Hashed as bytes, since numpy has no bfloat16.
        part = flat[:: max(1, -(-flat.numel() // MOST))].cpu().contiguous()
        digest.update(part.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _borrowed(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return what a module reads of another one's weights, by name: those under its adapters."""
    return {
        f"{place}.{name}": tensor
        for place, part in module.named_modules()
        if isinstance(part, AdaptersOff)
        for name, tensor in part.adapted.state_dict().items()
        if ".lora_" not in name
    }
