"""What passes of the models cost, as measured while decoding."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

KEPT = 9
"""Measurements remembered of each kind of pass; their median counts, which a busy machine does not move far."""
RARELY = 16
"""On a device that computes in the background a measurement waits for it: past the first ones, so seldom."""
SLOPE = 0.15
"""What a further token per row is taken to add to a pass of one, as long as none was measured."""


class Costs:
    """Seconds of a pass, by model, number of rows (in powers of two) and tokens read per row."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, int], dict[int, deque[float]]] = defaultdict(
            lambda: defaultdict(lambda: deque(maxlen=KEPT))
        )

    def note(self, name: str, rows: int, columns: int, seconds: float) -> None:
        """Remember one measurement."""
        self._seconds[name, rows.bit_length()][columns].append(seconds)

    def count(self, name: str, rows: int, columns: int) -> int:
        """Return how many measurements of just such passes are remembered."""
        return len(self._seconds.get((name, rows.bit_length()), {}).get(columns, ()))

    def seconds(self, name: str, rows: int, columns: int) -> float | None:
        """Return the time of a pass, between and beyond what was measured along a line; None: nothing was measured.

        Without a measurement for about as many rows the nearest number of rows answers.
        """
        sizes = [size for other, size in self._seconds if other == name]
        if not sizes:
            return None
        size = min(sizes, key=lambda one: (abs(one - rows.bit_length()), one))
        points = sorted((c, statistics.median(values)) for c, values in self._seconds[name, size].items())
        if len(points) == 1:
            ((known, value),) = points
            return value * (1 + SLOPE * (columns - 1)) / (1 + SLOPE * (known - 1))
        # The two measured numbers of columns between which it lies, or the two nearest ones.
        right = min(max(1, sum(c < columns for c, _ in points)), len(points) - 1)
        (c0, y0), (c1, y1) = points[right - 1], points[right]
        # A longer pass that seems faster is noise.
        return y0 + max(0.0, y1 - y0) * (columns - c0) / (c1 - c0) if columns > c0 else min(y0, y1)


class Meter:
    """Counts and times the passes of one rollout, and lets `Costs` know."""

    clock: Callable[[], float] = staticmethod(time.perf_counter)
    """Seconds; the benchmark takes the processor's, which other programs do not lengthen."""

    def __init__(self, costs: Costs, device: torch.device) -> None:
        self.costs = costs
        self.calls: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._waits = device.type != "cpu"
        self._skipped: Counter[tuple[str, int, int]] = Counter()

    @contextmanager
    def timed(self, name: str, rows: int, columns: int) -> Iterator[None]:
        """Count what is done inside as one pass of `name` that reads `columns` tokens of each row."""
        kind = (name, rows.bit_length(), columns)
        measured = not self._waits or self.costs.count(name, rows, columns) < KEPT or self._skipped[kind] >= RARELY
        if measured and self._waits:
            torch.accelerator.synchronize()
        started = self.clock()
        yield
        if measured and self._waits:
            torch.accelerator.synchronize()
        seconds = self.clock() - started
        self.calls[name] += 1
        self.seconds[name] += seconds
        if measured:
            self.costs.note(name, rows, columns, seconds)
            self._skipped[kind] = 0
        else:
            self._skipped[kind] += 1
