"""Figures of the accelerators that `qstar plan --gpu` knows."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.errors import UserError


@dataclass(frozen=True)
class GPU:
    """One accelerator, as its maker states it: what it could do at best."""

    name: str
    memory_gib: float
    """Memory that a driver shows, GiB; a little less than the number in the name where that counts 10⁹ bytes."""
    tflops: float
    """Matrix products in bfloat16, without sparsity, added up in float32, 10¹² operations/s."""
    memory_gbs: float
    """Rate at which it reads its memory, 10⁹ bytes/s."""
    link_gbs: float
    """Rate of its links to others of a machine (NVLink, Infinity Fabric or PCIe), one direction, 10⁹ bytes/s."""


GPUS = (
    GPU("A100-80GB", 80.0, 312.0, 2039.0, 300.0),  # SXM
    GPU("A100-40GB", 40.0, 312.0, 1555.0, 300.0),  # SXM
    GPU("H100-80GB", 79.6, 989.0, 3350.0, 450.0),  # SXM
    GPU("H200-141GB", 140.4, 989.0, 4800.0, 450.0),  # SXM
    GPU("B200-180GB", 179.1, 2250.0, 7700.0, 900.0),  # HGX
    GPU("MI300X-192GB", 192.0, 1307.0, 5300.0, 448.0),
    GPU("L40S-48GB", 45.0, 362.0, 864.0, 32.0),
    GPU("A10-24GB", 22.5, 125.0, 600.0, 32.0),
    GPU("L4-24GB", 22.5, 121.0, 300.0, 32.0),
    GPU("RTX4090-24GB", 24.0, 165.0, 1008.0, 32.0),
    GPU("RTX3090-24GB", 24.0, 71.0, 936.0, 32.0),
)
"""From the makers' data sheets; the first is what a plan is for unless another is named."""


def gpu(name: str) -> GPU:
    """Return a GPU by its name, in whatever case.

    Raises:
        UserError: if it is not known.

    """
    for one in GPUS:
        if one.name.lower() == name.lower():
            return one
    known = ", ".join(one.name for one in GPUS)
    raise UserError(
        f"gpu must be one of {known}, got {name}; of another, give memory_gib, tflops, memory_gbs and link_gbs"
    )
