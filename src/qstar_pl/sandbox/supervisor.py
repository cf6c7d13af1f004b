"""One run: a supervisor out of the program's reach forks it, waits for its end or its deadline, and leaves nothing.

With a pid namespace the supervisor is the namespace's first process: when it ends, the kernel kills all others in it
and only then lets its parent's wait return. Without one the supervisor adopts what the program leaves behind and kills
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

from qstar_pl.sandbox import syscalls
from qstar_pl.sandbox.confinement import call_filter, confine, enter_own
from qstar_pl.sandbox.limits import Isolation, Limits
from qstar_pl.sandbox.memory_watch import INTERVAL_S, MemoryWatch

_FIRST_FREE = 100
"""Descriptors are moved here before they get the numbers that the program sees."""
_TICK_S = 0.01


@dataclass(frozen=True)
class Assignment:
    """A run as the launcher passes it on."""

    body: Callable[[Limits], None]
    """What the confined process does; it should end the process itself."""
    limits: Limits
    descriptors: Sequence[int | None]
    """Become 0, 1, 2, … of the confined process, which has no others; None: /dev/null, opened for it alone."""
    status: int
    """Where the report goes: one line of JSON, ended only when nothing of the program is left."""
    leash: int
    """Readable, or closed at the other end, when the run is to be ended."""
    proc: int | None
    """/proc, where the memory of several processes is added up; None: it is not there."""

    def watch(self) -> MemoryWatch | None:
        """Return what adds up the memory of a program with several processes."""
        return MemoryWatch(self.proc, self.limits.memory_mib) if self.limits.processes > 1 and self.proc else None


def run_apart(assignment: Assignment, walls: Isolation, own_id: int | None) -> int:
    """Fork the supervisor and return its process id; it ends by itself."""
    if walls.seccomp and walls.processes:
        call_filter(walls, assignment.limits)  # cached before the fork, for this run and later ones
    process = os.fork()
    if process:
        return process
    try:
        syscalls.die_with_parent()
        if walls.processes:
            _in_namespace(assignment, walls, own_id)
        else:
            syscalls.adopt_orphans()
            report = _supervise(assignment, walls, own_id, assignment.status)
            _kill_descendants()
            os.write(assignment.status, json.dumps(report).encode() + b"\n")
    finally:
        os._exit(0)  # never back into the launcher's loop, whatever was raised


def _in_namespace(assignment: Assignment, walls: Isolation, own_id: int | None) -> None:
    enter_own(walls, assignment.limits)
    heard, said = os.pipe()
    watch = assignment.watch()
    first = os.fork()
    if first == 0:
        try:
            syscalls.die_with_parent()
            # From inside, a namespace's first process gets only signals that it handles; Python handles SIGINT.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            report = _supervise(assignment, walls, own_id, said)
            os.write(said, json.dumps(report).encode())
        finally:
            os._exit(0)
    # `said` goes too, so that `heard` ends when the first process does.
    _close_all_but([assignment.status, heard, *([] if assignment.proc is None else [assignment.proc])])
    too_much = watch is not None and _outgrows(first, watch)
    if too_much:
        os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)  # returns when nothing in the namespace is left
    # There is a report even if the program has managed to end the supervisor beside it.
    lost = {"ended": "memory" if too_much else "exit", "code": -signal.SIGKILL, "cpu_s": 0.0, "peak_mib": 0.0}
    os.write(assignment.status, (os.read(heard, 4096) or json.dumps(lost).encode()) + b"\n")


def _outgrows(process: int, watch: MemoryWatch) -> bool:
    """Wait for the end of a process, False, or until it and its descendants hold too much memory, True."""
    while not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if watch.over(process):
            return True
        time.sleep(INTERVAL_S)
    return False


def _supervise(assignment: Assignment, walls: Isolation, own_id: int | None, report_to: int) -> dict[str, Any]:
    # With a pid namespace the process outside watches (`_in_namespace`): the ids in its /proc are those outside.
    watch = None if walls.processes else assignment.watch()
    supervisor = os.getpid()
    program = os.fork()
    if program == 0:
        try:
            _take_descriptors(assignment.descriptors)
            confine(walls, assignment.limits, own_id, supervisor)
            assignment.body(assignment.limits)
        finally:
            os._exit(70)  # EX_SOFTWARE: a body ends the process itself, unless it or a wall fails
    kept = [report_to, assignment.leash, *([assignment.proc] if watch and assignment.proc else [])]
    _close_all_but(kept)
    syscalls.hide_from_tracers()
    ended = _wait(program, assignment.leash, time.monotonic() + assignment.limits.wall_s, watch)
    if ended != "exit":
        os.kill(program, signal.SIGKILL)  # not reaped yet, so the id is still the program's
    _, status, usage = os.wait4(program, 0)
    return {
        "ended": ended,
        "code": os.waitstatus_to_exitcode(status),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def _wait(program: int, leash: int, deadline: float, watch: MemoryWatch | None) -> str:
    """Return "exit", "deadline", "memory" or "stopped"; the program is not reaped."""
    poll = select.poll()
    poll.register(leash, select.POLLIN)
    watched = None
    with contextlib.suppress(OSError, AttributeError):  # before Linux 5.3
        watched = os.pidfd_open(program)
        poll.register(watched, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        tick = min(left, INTERVAL_S) if watch else left
        ready = {descriptor for descriptor, _ in poll.poll(1000 * (tick if watched else min(left, _TICK_S)) + 1)}
        # WNOWAIT leaves the program to `wait4`, which also returns what it has used.
        if watched in ready or os.waitid(os.P_PID, program, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return "exit"
        if leash in ready:
            return "stopped"
        if watch and watch.over(program):
            return "memory"
    return "deadline"


def _take_descriptors(descriptors: Sequence[int | None]) -> None:
    # Status flags (O_NONBLOCK, …) belong to the open file, not to the descriptor: no two programs share one.
    opened = [os.open("/dev/null", os.O_RDWR) if one is None else one for one in descriptors]
    # Out of the way first: dup2 onto 0, 1, … would close a descriptor that has yet to be moved.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _FIRST_FREE) for descriptor in opened]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
    os.closerange(len(high), os.sysconf("SC_OPEN_MAX"))


def _close_all_but(kept: Sequence[int]) -> None:
    edges = [-1, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def _kill_descendants() -> None:
    for _ in range(1000):  # what forks while it is looked for is found the next time
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
    # stat reads "pid (name) state parent …"; a name may hold blanks and brackets, so the last bracket counts.
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        stat = f"/proc/{name}/stat"  # a name in it may be any bytes, which latin-1 can read
        with contextlib.suppress(OSError, ValueError, IndexError), open(stat, encoding="latin-1") as file:  # noqa: PTH123
            parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    own, found = os.getpid(), set[int]()
    while fresh := {one for one, parent in parents.items() if parent in found | {own}} - found:
        found |= fresh
    return sorted(found)
