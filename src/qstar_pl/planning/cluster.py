"""The machines that a plan is for."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.checks import positive
from qstar_pl.errors import UserError


@dataclass(frozen=True)
class Cluster:
    """Accelerators and their links; the defaults are one node of 8×A100-80GB (SXM)."""

    nodes: int = 1
    """Machines."""
    gpus: int = 8
    """Accelerators per machine."""
    memory_gib: float = 80.0
    """Memory of one accelerator, GiB."""
    tflops: float = 312.0
    """Peak rate of one accelerator's matrix products in the precision of the computation, 10¹² operations/s."""
    memory_gbs: float = 2039.0
    """Peak rate at which one accelerator reads its memory, 10⁹ bytes/s."""
    link_gbs: float = 300.0
    """Rate at which accelerators of a machine exchange data, one direction, 10⁹ bytes/s."""
    network_gbs: float = 25.0
    """The same between machines, per accelerator."""
    compute_efficiency: float = 0.4
    """Share of the peak rate that training and scoring reach."""
    decode_efficiency: float = 0.6
    """Share of the memory's peak rate that decoding reaches."""
    link_efficiency: float = 0.7
    """Share of the links' rate that gathering and reducing reach."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
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
