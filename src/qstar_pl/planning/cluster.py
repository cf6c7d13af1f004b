"""The machines that a plan is for."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.checks import positive
from qstar_pl.errors import UserError
from qstar_pl.planning.gpus import GPUS


@dataclass(frozen=True)
class Cluster:
    """Accelerators and their links; the defaults are one node of 8×A100-80GB (SXM)."""

    gpu: str = GPUS[0].name
    """Name of the accelerators; their figures are the four fields from `memory_gib` on."""
    nodes: int = 1
    """Machines."""
    gpus: int = 8
    """Accelerators per machine."""
    memory_gib: float = GPUS[0].memory_gib
    """Memory of one accelerator, GiB."""
    tflops: float = GPUS[0].tflops
    """Peak rate of one accelerator's matrix products in the precision of the computation, 10¹² operations/s."""
    memory_gbs: float = GPUS[0].memory_gbs
    """Peak rate at which one accelerator reads its memory, 10⁹ bytes/s."""
    link_gbs: float = GPUS[0].link_gbs
    """Rate at which accelerators of a machine exchange data, one direction, 10⁹ bytes/s."""
    network_gbs: float = 25.0
    """The same between machines, per accelerator, 10⁹ bytes/s."""
    compute_efficiency: float = 0.4
    """Share of the peak rate that training and scoring reach."""
    decode_efficiency: float = 0.6
    """Share of the memory's peak rate that decoding reaches."""
    link_efficiency: float = 0.7
    """Share of the links' rate that gathering and reducing reach."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "gpu":
                continue
            positive(**{name: value})
            if name.endswith("efficiency") and value > 1:
                raise UserError(f"{name} must be at most 1, got {value}")

    @property
    def ranks(self) -> int:
        """Processes, one per accelerator."""
        return self.nodes * self.gpus

    @property
    def exchange_gbs(self) -> float:
        """Rate of the slowest link that a collective call crosses, 10⁹ bytes/s."""
        return self.link_efficiency * (self.link_gbs if self.nodes == 1 else min(self.link_gbs, self.network_gbs))
