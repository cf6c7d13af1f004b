"""All that a plan is made of, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.memory import GIB, Models, Run, peak, plan_memory
from qstar_pl.planning.speed import Speed, plan_speed
from qstar_pl.planning.workload import Workload

ROOM = 0.9
"""Share of the memory up to which a plan fits: the rest is for what it leaves out; see `memory.ASSUMPTIONS`."""


@dataclass(frozen=True)
class Plan:
    """A run on a cluster."""

    models: Models
    run: Run
    work: Workload
    cluster: Cluster
    accumulate: int = 1
    """Micro-steps of an optimizer step."""

    @cached_property
    def phases(self) -> Mapping[str, Mapping[str, float]]:
        """Phase → what → bytes of one process; see `plan_memory`."""
        return plan_memory(self.models, self.run, self.work)

    @cached_property
    def peak(self) -> tuple[str, float]:
        """The phase that needs most memory, and the bytes that it needs."""
        return peak(self.phases)

    @property
    def share(self) -> float:
        """The peak as a share of the accelerator's memory."""
        return self.peak[1] / GIB / self.cluster.memory_gib

    @property
    def fits(self) -> bool:
        """Whether there is room left for what the plan leaves out."""
        return self.share <= ROOM

    @property
    def verdict(self) -> str:
        """The share in words."""
        return "fits" if self.fits else "is tight" if self.share <= 1 else "does not fit"

    @property
    def speed(self) -> Speed:
        """Time of an optimizer step."""
        return plan_speed(self.models, self.run, self.work, self.cluster, self.accumulate)
