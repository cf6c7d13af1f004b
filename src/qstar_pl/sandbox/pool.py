"""Judges many programs side by side."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from qstar_pl.sandbox.errors import SandboxError
from qstar_pl.sandbox.limits import Isolation, Layers, Limits
from qstar_pl.sandbox.problems import Problem
from qstar_pl.sandbox.sandbox import Sandbox, SandboxLost
from qstar_pl.sandbox.verdict import Outcome, Verdict

_ATTEMPTS = 3


@dataclass(frozen=True)
class Task:
    """A program to be judged."""

    problem: Problem
    program: str


def usable_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _close_sandboxes(sandboxes: set[Sandbox]) -> None:
    while sandboxes:
        sandboxes.pop().close()


class ExecutionPool:
    """As many sandboxes as workers, each with its own thread, which does little more than wait."""

    def __init__(self, workers: int | None = None, limits: Limits = Limits(), layers: Layers = Layers()) -> None:
        """Start the first sandbox; the others start with the first tasks.

        Args:
            workers: programs at once, at least 1; None: one per processor that this process may use.
            limits: of each run.
            layers: which walls to build where the kernel allows it.

        """
        if workers is not None and workers < 1:
            raise SandboxError(f"workers must be at least 1, got {workers}")
        self.workers = usable_cores() if workers is None else workers
        self.limits, self.layers = limits, layers
        self._idle: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        self._all: set[Sandbox] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="qstar-sandbox")
        # Also at the end of the interpreter, and when nobody holds the pool any more: `self` must not be an argument.
        self._finalizer = weakref.finalize(self, _close_sandboxes, self._all)
        try:
            first = self._start()
        except SandboxLost as error:
            raise SandboxError(f"programs must be runnable on this machine, got: {error}") from error
        self.isolation: Isolation = first.isolation
        self._idle.put(first)

    def judge(self, tasks: Iterable[Task], *, every_test: bool = False) -> list[Verdict]:
        """Return the verdicts, in the order of the tasks."""
        return list(self._threads.map(partial(self._judge, every_test=every_test), tasks))

    def _judge(self, task: Task, *, every_test: bool) -> Verdict:
        for _ in range(_ATTEMPTS):
            sandbox = self._take()
            try:
                verdict = task.problem.judge(task.program, sandbox, self.limits, every_test=every_test)
            except SandboxLost:
                self._discard(sandbox)
            except BaseException:
                self._discard(sandbox)
                raise
            else:
                self._idle.put(sandbox)
                return verdict
        # Three sandboxes lost with the same program: the fault is the program's.
        return Verdict(Outcome.EXCEPTION, f"its sandbox was lost {_ATTEMPTS} times", 0, 1, 0.0)

    def _take(self) -> Sandbox:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._start()

    def _start(self) -> Sandbox:
        sandbox = Sandbox(self.layers)
        with self._lock:
            if not self._closed:
                self._all.add(sandbox)
                return sandbox
        sandbox.close()  # the pool was closed while this one started
        raise RuntimeError("the pool is closed")

    def _discard(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._all.discard(sandbox)
        sandbox.close()

    def close(self) -> None:
        """End all sandboxes and what runs in them."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
