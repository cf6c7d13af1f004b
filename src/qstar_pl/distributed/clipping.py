"""Clipping the norm of a whole gradient, however it is spread over processes."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import Optimizer


def clip_norm(module: LightningModule, optimizer: Optimizer, largest: float) -> None:
    """Scale the gradients that `optimizer` applies so that their norm over all processes is at most `largest`.

    FSDP2's gradients are DTensors, whose norm torch takes over all processes. The first FSDP keeps plain tensors, of
    which each process has a part; only its root module can clip them (Lightning refuses to).
    """
    root: Any = module.trainer.strategy.model
    if isinstance(root, FullyShardedDataParallel):
        root.clip_grad_norm_(largest)
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, largest)
