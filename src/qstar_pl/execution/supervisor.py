"""One run: a supervisor that the program cannot reach forks it, waits for its end or its deadline, and leaves nothing.

With a pid namespace the supervisor is the namespace's first process: when it ends, the kernel kills all others in it
and only then lets its parent's wait return. Without one the supervisor adopts what the program leaves behind, and kills
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.execution import syscalls
from qstar_pl.execution.confinement import confine, enter_own
from qstar_pl.execution.limits import Isolation, Limits

_FIRST_FREE = 100
"""Descriptors are moved here before they get the numbers that the program sees."""
_TICK_S = 0.01


@dataclass(frozen=True)
class Assignment:
    """A run as the launcher passes it on."""

    body: Callable[[Limits], None]
    """What the confined process does; it should end the process itself."""
    limits: Limits
    descriptors: Sequence[int]
    """Become 0, 1, 2, … of the confined process, which has no others."""
    status: int
    """Where the report goes: one line of JSON, ended only when nothing of the program is left."""
    leash: int
    """Readable, or closed at the other end, when the run is to be ended."""


def run_apart(assignment: Assignment, walls: Isolation, own_id: int | None) -> int:
    """Fork the supervisor and return its process id; it ends by itself."""
    process = os.fork()
    if process:
        return process
    try:
        syscalls.die_with_parent()
        if walls.processes:
            _in_namespace(assignment, walls, own_id)
        else:
            syscalls.adopt_orphans()
            report = _supervise(assignment, walls, own_id)
            _kill_descendants()
            os.write(assignment.status, json.dumps(report).encode() + b"\n")
    finally:
        os._exit(0)


def _in_namespace(assignment: Assignment, walls: Isolation, own_id: int | None) -> None:
    enter_own(walls, assignment.limits)
    first = os.fork()
    if first == 0:
        try:
            syscalls.die_with_parent()
            report = _supervise(assignment, walls, own_id)
            os.write(assignment.status, json.dumps(report).encode())
        finally:
            os._exit(0)
    _close_all_but([assignment.status])
    os.waitpid(first, 0)
    os.write(assignment.status, b"\n")


def _supervise(assignment: Assignment, walls: Isolation, own_id: int | None) -> dict[str, Any]:
    program = os.fork()
    if program == 0:
        try:
            _take_descriptors(assignment.descriptors)
            confine(walls, assignment.limits, own_id)
            assignment.body(assignment.limits)
        finally:
            os._exit(70)
    _close_all_but([assignment.status, assignment.leash])
    syscalls.hide_from_tracers()
    ended = _wait(program, assignment.leash, time.monotonic() + assignment.limits.wall_s)
    if ended != "exit":
        os.kill(program, signal.SIGKILL)
    _, status, usage = os.wait4(program, 0)
    return {
        "ended": ended,
        "code": os.waitstatus_to_exitcode(status),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def _wait(program: int, leash: int, deadline: float) -> str:
    """Return "exit", "deadline" or "stopped"; the program is not reaped."""
    poll = select.poll()
    poll.register(leash, select.POLLIN)
    watched = None
    with contextlib.suppress(OSError, AttributeError):  # before Linux 5.3
        watched = os.pidfd_open(program)
        poll.register(watched, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        ready = {descriptor for descriptor, _ in poll.poll(1000 * (left if watched else min(left, _TICK_S)) + 1)}
        if watched in ready or os.waitid(os.P_PID, program, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return "exit"
        if leash in ready:
            return "stopped"
    return "deadline"


def _take_descriptors(descriptors: Sequence[int]) -> None:
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _FIRST_FREE) for descriptor in descriptors]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
    os.closerange(len(high), os.sysconf("SC_OPEN_MAX"))


def _close_all_but(kept: Sequence[int]) -> None:
    edges = [-1, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def _kill_descendants() -> None:
    for _ in range(1000):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not (found := _descendants()):
            return
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _descendants() -> list[int]:
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat") as file:  # noqa: PTH123
            parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    own, found = os.getpid(), set[int]()
    while fresh := {one for one, parent in parents.items() if parent in found | {own}} - found:
        found |= fresh
    return sorted(found)
