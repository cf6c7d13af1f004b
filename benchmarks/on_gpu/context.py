"""What a part is told, where it writes what it finds, and how it takes times."""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class OutOfTimeError(Exception):
    """What is left of a part's time does not suffice for the next measurement."""


class TooLong(BaseException):
    """One measurement takes too long; no Exception, so that a compiler does not take it for a failure of its own."""


@dataclass
class Context:
    """One run of one part."""

    part: str
    device: str
    """cuda or cpu."""
    tiny: bool
    """Whether shapes are made small, to try the script where nothing is to be measured."""
    output: Path
    """Lines of JSON, one per finding, as they come."""
    limit_s: float
    """Of this part."""
    only: Sequence[str] = ()
    """Names of the ways to measure, for parts that have several; empty: all."""
    rows: Sequence[int] = ()
    """Numbers of rows to measure; empty: the part's own."""
    started: float = field(default_factory=time.monotonic)

    def record(self, what: str, **values: Any) -> None:
        """Write one finding to the file, and print it."""
        line = {"part": self.part, "what": what, **{name: _plain(value) for name, value in values.items()}}
        with self.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
        shown = "  ".join(f"{name} {_shown(value)}" for name, value in line.items() if name not in ("part", "what"))
        print(f"[{time.monotonic() - self.started:5.0f} s] {self.part} | {what} | {shown}", flush=True)

    def need(self, seconds: float) -> None:
        """Raise OutOfTimeError unless so much is left."""
        if self.limit_s - (time.monotonic() - self.started) < seconds:
            raise OutOfTimeError

    def wanted(self, name: str) -> bool:
        """Return whether a way is to be measured."""
        return not self.only or name in self.only

    @contextmanager
    def at_most(self, seconds: float, what: str) -> Iterator[None]:
        """Give up a measurement that takes longer, say so, and let the next one begin."""
        self.need(5)
        left = self.limit_s - (time.monotonic() - self.started)

        def stop(*_: object) -> None:
            raise TooLong

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, min(seconds, left))
        try:
            yield
        except TooLong:
            self.record(f"{what}: given up", after_s=min(seconds, left))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def wait(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, function: Callable[[], object], repeats: int, warm_up: int = 1) -> float:
        """Return the median time by the clock."""
        for _ in range(warm_up):
            function()
        times = []
        for _ in range(repeats):
            self.wait()
            started = time.perf_counter()
            function()
            self.wait()
            times.append(time.perf_counter() - started)
        return statistics.median(times)


def event_us(calls: Sequence[Callable[[], object]], repeats: int) -> float:
    """Return the median time of a call on the device, µs; `calls` differ in their inputs, and take turns."""
    if not torch.cuda.is_available():
        return clock_us(calls, repeats)
    for call in calls[:3]:
        call()
    spans = []
    for number in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        calls[number % len(calls)]()
        end.record()
        spans.append((start, end))
    torch.cuda.synchronize()
    return 1e3 * statistics.median(float(start.elapsed_time(end)) for start, end in spans)


def clock_us(calls: Sequence[Callable[[], object]], repeats: int) -> float:
    """Return the median time in which the host gets through a call, µs: on a device, how long it takes to ask."""
    times = []
    for number in range(repeats):
        started = time.perf_counter()
        calls[number % len(calls)]()
        times.append(time.perf_counter() - started)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e6 * statistics.median(times)


def graph_us(calls: Sequence[Callable[[], object]], repeats: int = 20) -> float:
    """Return the time of a call without the host's part of it, µs: one CUDA graph of all calls, by their number."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for call in calls[:3]:
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = [call() for call in calls]
    times = []
    for number in range(repeats + 2):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        if number >= 2:
            times.append(1e3 * float(start.elapsed_time(end)))
    del kept
    return statistics.median(times) / len(calls)


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
