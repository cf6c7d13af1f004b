"""Which weights a model has, in 16 letters."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from qstar_pl.hashing import hasher

MOST = 4096
"""Numbers read of each tensor, evenly spread."""


@torch.no_grad()
def fingerprint(module: nn.Module) -> str:
    """Return a hash of names, shapes, dtypes and up to 4096 evenly spread numbers of every tensor of a module.

    A step of training changes nearly every number, so a part of them is enough to tell models apart, and a model of
    many gigabytes is not read as a whole. It is no proof of identity against intent.

    A model that is sharded has the fingerprint of the whole one; every process must call this then.
    """
    digest = hasher()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        flat = whole.detach().reshape(-1)
        part = flat[:: max(1, -(-flat.numel() // MOST))].cpu().contiguous()
        digest.update(part.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
