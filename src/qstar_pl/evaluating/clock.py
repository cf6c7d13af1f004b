"""Seconds of each stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

APART = ("answers", "baseline", "judging")
"""Stages that are not overhead: generating (or reading) answers, and asking the judge."""


class Clock:
    """Adds up the time of stages of one call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time under a name."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def report(self) -> Mapping[str, object]:
        """Return seconds by stage, in all, and the share that is neither generation nor judging."""
        total = time.perf_counter() - self._started
        apart = sum(self.seconds.get(name, 0.0) for name in APART)
        stages = {name: round(value, 3) for name, value in self.seconds.items()}
        return {"seconds": stages, "total": round(total, 3), "overhead": round((total - apart) / total, 4)}

    def line(self) -> str:
        """Return the same in a line."""
        parts = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        overhead = self.report()["overhead"]
        return f"{parts}; apart from answers and judging {100 * float(str(overhead)):.0f}% of the time"
