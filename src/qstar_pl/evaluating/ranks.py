"""The processes that share an evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import distributed

from qstar_pl.generation.run import ACCELERATORS

Work = TypeVar("Work")


class Ranks:
    """This process among those that share the work; alone, if there are no others.

    Processes are those that the trainer of `qstar generate` has started, or torchrun or SLURM; where nothing was
    generated and more than one is asked for, they are started here.
    """

    def __init__(self, device: torch.device, rank: int = 0, size: int = 1) -> None:
        self.device = device
        self.rank = rank
        self.size = size

    @classmethod
    def joined(cls, kind: str, devices: int | list[int] | str) -> Ranks:
        """Return this process's place.

        Args:
            kind: of device: cpu, cuda or mps.
            devices: Lightning's; how many processes are asked for, or on which device.

        """
        if not distributed.is_initialized():
            asked = int(os.environ.get("WORLD_SIZE", "1")) > 1 or (isinstance(devices, int) and devices > 1)
            if not asked:
                index = f":{devices[0]}" if isinstance(devices, list) and kind == "cuda" else ""
                return cls(torch.device(f"{kind}{index}"))
            from lightning.fabric import Fabric

            fabric = Fabric(accelerator=ACCELERATORS[kind], devices=devices, strategy="ddp")
            fabric.launch()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        place = torch.device(f"cuda:{local}" if kind == "cuda" else kind)
        return cls(place, distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports."""
        return self.rank == 0

    def share(self, work: Sequence[Work]) -> Sequence[Work]:
        """Return this process's part of the work."""
        return work[self.rank :: self.size]

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            distributed.barrier()

    def said_by_first(self, value: Any) -> Any:
        """Return what process 0 passes here, on all of them."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0, device=self.device if self.device.type == "cuda" else None)
        return held[0]
