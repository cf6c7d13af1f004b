"""How a sufficient statistic is merged: over micro-steps on the device, and over ranks on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Reduction:
    """An associative and commutative merge with a neutral element, so that the order of merging does not matter."""

    name: str
    identity: float
    """What a rank without data contributes."""
    merge: Callable[[Tensor, Tensor], Tensor]
    """Of two scalars on one device."""
    over_ranks: Callable[[Tensor], Tensor]
    """Of [ranks] float64 on the host to a scalar."""


SUM = Reduction("sum", 0.0, torch.add, lambda values: values.sum())
MAX = Reduction("max", -torch.inf, torch.maximum, lambda values: values.amax())
MIN = Reduction("min", torch.inf, torch.minimum, lambda values: values.amin())
LOGSUMEXP = Reduction("logsumexp", -torch.inf, torch.logaddexp, lambda values: values.logsumexp(0))
REDUCTIONS: Mapping[str, Reduction] = {r.name: r for r in (SUM, MAX, MIN, LOGSUMEXP)}

Layout = tuple[tuple[str, str], ...]
"""(name, name of its reduction) of each slot of a packed vector."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the widest float of the device: sums of many float32 terms need float64, which MPS does not have."""
    return torch.float32 if device.type == "mps" else torch.float64


def widen(values: Tensor) -> Tensor:
    """Return `values` in the dtype that statistics are accumulated in."""
    return values.detach().to(wide_dtype(values.device))


class Accumulators:
    """Named scalar statistics that stay where they were computed until they are packed for one copy to the host."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Reduction, Tensor]] = {}

    def add(self, name: str, value: Tensor | float, reduction: Reduction) -> None:
        """Merge `value` ([] tensor, or a number the host knows anyway) into the statistic `name`; no host sync."""
        tensor = widen(value) if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        if name in self.entries:
            declared, before = self.entries[name]
            if declared is not reduction:
                raise ValueError(f"{name} is reduced by {declared.name}, and cannot be added to by {reduction.name}")
            # To the accelerator, if one of the two is there (a window from a checkpoint begins on the host).
            place = before if before.device.type != "cpu" else tensor
            tensor = reduction.merge(before.to(place, non_blocking=True), tensor.to(place, non_blocking=True))
        self.entries[name] = (reduction, tensor)

    def clear(self) -> None:
        """Forget everything."""
        self.entries = {}


def pack(entries: Mapping[str, tuple[Reduction, Tensor]], layout: Layout, device: torch.device) -> Tensor:
    """Return the statistics in the layout's order as one vector [len(layout)] on `device`, without a host sync.

    A slot that has no entry holds its reduction's identity.
    """
    # Stacked where they are, so that what is on the host needs one copy to the device, and not one per statistic.
    on_host: list[tuple[int, Tensor]] = []
    on_device: list[tuple[int, Tensor]] = []
    for slot, (name, reduction) in enumerate(layout):
        entry = entries.get(name)
        value = torch.tensor(REDUCTIONS[reduction].identity, dtype=torch.float64) if entry is None else entry[1]
        (on_host if value.device.type == "cpu" else on_device).append((slot, value))
    parts = [
        torch.stack([value for _, value in part]).to(device, wide_dtype(device), non_blocking=True)
        for part in (on_host, on_device)
        if part
    ]
    # The parts are in the order of `slots`; argsort, the inverse permutation, restores the layout's.
    slots = torch.tensor([slot for slot, _ in on_host + on_device])
    return torch.cat(parts)[slots.argsort().to(device, non_blocking=True)]


def reduce_over_ranks(gathered: Tensor, layout: Layout) -> dict[str, float]:
    """Reduce [ranks, len(layout)] on the host to one number per name."""
    columns = gathered.double().unbind(1)
    return {
        name: float(REDUCTIONS[reduction].over_ranks(column))
        for (name, reduction), column in zip(layout, columns, strict=True)
    }


def mean_of(stats: Mapping[str, float], total: str, count: str) -> float | None:
    """Return stats[total] / stats[count], None where nothing was counted."""
    number = stats.get(count, 0.0)
    return stats[total] / number if number > 0 else None


def present(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Leave out the metrics that have no data: 0 or NaN in their place would be read as a value."""
    return {key: value for key, value in metrics.items() if value is not None}
