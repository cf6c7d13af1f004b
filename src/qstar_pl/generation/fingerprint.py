"""A fingerprint of a model's weights, 16 hexadecimal digits."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from qstar_pl.hashing import hasher

MOST = 4096
"""Numbers read of each tensor, evenly spaced."""


@torch.no_grad()
def fingerprint(module: nn.Module) -> str:
    """Return a hash of names, shapes, dtypes and up to 4096 evenly spaced numbers of every tensor of a module.

    A training step changes nearly every number, so a sample of them tells models apart, and a model of many gigabytes
    is not read as a whole. It does not protect against deliberate forgery.

    A sharded model has the fingerprint of the whole one; all processes must then call this.
    """
    digest = hasher()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        flat = whole.detach().reshape(-1)
        # A stride of ⌈numel / MOST⌉. Hashed as bytes, since numpy has no bfloat16.
        part = flat[:: max(1, -(-flat.numel() // MOST))].cpu().contiguous()
        digest.update(part.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
