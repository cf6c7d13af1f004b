"""The caller's side of a launcher: starts runs in its processes and learns how they ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess  # nosec B404 - starts the sandbox
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from qstar_pl.sandbox.errors import SandboxError
from qstar_pl.sandbox.limits import Isolation, Layers, Limits

_LAUNCHER = Path(__file__).with_name("launcher.py")
_START_S = 60.0
_END_S = 30.0
"""How long a run may still be clearing up after its deadline before its launcher is given up."""


class SandboxLost(Exception):  # noqa: N818 (a state of the sandbox that the pool mends, not a mistake)
    """The launcher has gone or does not answer; the run must be done again with another one."""


@dataclass(frozen=True)
class Report:
    """How a run ended."""

    ended: Literal["exit", "deadline", "stopped", "memory"]
    """By itself, at its deadline, because the caller stopped it, or because its processes held too much together."""
    code: int
    """Exit code; negative: minus the signal that ended it."""
    cpu_s: float
    """Processor time of the program and those of its children that it waited for."""
    peak_mib: float
    """Largest resident memory of one of these processes."""


_ENDINGS = frozenset({"exit", "deadline", "stopped", "memory"})


def understood(line: bytes) -> Report | None:
    """Return the report in a line of JSON, None if it holds something else."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    # `type(…) is`, since True is an int to isinstance; NaN, which json.loads accepts, fails the comparisons.
    if not isinstance(fields, dict) or fields.keys() != {"ended", "code", "cpu_s", "peak_mib"}:
        return None
    measured = [fields["cpu_s"], fields["peak_mib"]]
    if not (isinstance(fields["ended"], str) and fields["ended"] in _ENDINGS and type(fields["code"]) is int):
        return None
    if not all(type(number) in (int, float) and 0 <= number < 1e12 for number in measured):
        return None
    return Report(**fields) if -256 < fields["code"] < 256 else None


class Run:
    """One confined process, from its start until nothing of it is left."""

    def __init__(self, status: int, leash: int, deadline: float) -> None:
        self.status = status
        """Readable when a report has begun to arrive, or the supervisor has gone."""
        self._leash = leash
        self._deadline = deadline
        self._received = b""
        self._report: Report | None = None

    def stop(self) -> None:
        """End the run if it has not ended yet."""
        with contextlib.suppress(OSError):  # nobody reads any more: the run has ended
            os.write(self._leash, b"x")

    def poll(self) -> Report | None:
        """Return the report if the run is over, without waiting.

        Raises:
            SandboxLost: if the launcher has gone, or takes much longer than the deadline.

        """
        while self._report is None and readable_within(self.status, 0.0):
            part = os.read(self.status, 4096)
            self._received += part
            if self._received.endswith(b"\n"):
                self._report = understood(self._received)
                if self._report is None:
                    raise SandboxLost("a run ended without a report")
            elif not part:
                raise SandboxLost("a run's supervisor has gone")
        if self._report is None and time.monotonic() > self._deadline + _END_S:
            raise SandboxLost("a run does not end")
        return self._report

    def wait(self) -> Report:
        """Wait for the end: until then something of the program may be left."""
        while (report := self.poll()) is None:
            readable_within(self.status, 1.0)
        return report

    def close(self) -> None:
        """Stop the run and give back its descriptors."""
        self.stop()
        for descriptor in (self.status, self._leash):
            os.close(descriptor)


def readable_within(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, at most this long; `select` would fail on descriptors beyond 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


class Sandbox:
    """A launcher with its walls. Not for two threads at once. Linux only."""

    def __init__(self, layers: Layers = Layers()) -> None:
        if sys.platform != "linux":
            raise SandboxError(f"programs can be run on Linux only, got {sys.platform}")
        self._owner = os.getpid()
        # SEQPACKET keeps messages apart, each with its descriptors, and tells each side when the other has gone.
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [str(theirs.fileno()), str(os.getpid()), json.dumps(asdict(layers))]
        with theirs:
            self.process = subprocess.Popen(  # nosec B603 - a fixed program, its words in a list
                # No site, no PYTHON* variables (there are none), no .pyc files: nothing of this process's Python.
                [sys.executable, "-S", "-s", "-P", "-B", str(_LAUNCHER), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                # One order of sets in every launcher: the same program gets the same verdict.
                env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "PATH": "/nonexistent", "HOME": "/work"},
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal is for the caller, which closes the launcher
            )
        self._connection = mine
        mine.settimeout(_START_S)
        try:
            hello = mine.recv(4096)
        except TimeoutError:
            hello = b""
        if not hello:
            self.process.kill()
            said = self.process.communicate()[1].decode(errors="replace").strip()
            raise SandboxLost(f"the launcher did not start: {said[-500:]}")
        self.isolation = Isolation(**json.loads(hello))

    def start(self, role: str, limits: Limits, channels: Sequence[int]) -> Run:
        """Start a confined process with a role of `launcher.ROLES`; the caller closes its own copy of `channels`.

        Raises:
            SandboxLost: if the launcher has gone.

        """
        status_read, status_write = os.pipe()
        leash_read, leash_write = os.pipe()
        request = json.dumps({"role": role, "limits": asdict(limits)}).encode()
        try:
            socket.send_fds(self._connection, [request], [status_write, leash_read, *channels])
        except OSError as error:
            for descriptor in (status_read, leash_write):
                os.close(descriptor)
            raise SandboxLost("the launcher has gone") from error
        finally:
            # Only the supervisor keeps the writing end: its end of file tells `poll` that the supervisor has gone.
            for descriptor in (status_write, leash_read):
                os.close(descriptor)
        return Run(status_read, leash_write, time.monotonic() + limits.wall_s)

    def close(self) -> None:
        """End the launcher and with it whatever it runs; in a forked copy of this process, only let go of it."""
        self._connection.close()
        if self._owner != os.getpid():
            return
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def describe_isolation() -> str:
    """Return in words which walls stand between a program and this machine; starts a launcher to find out.

    Raises:
        SandboxError: if no program can be run here.

    """
    try:
        with Sandbox() as sandbox:
            return sandbox.isolation.describe()
    except SandboxLost as error:
        raise SandboxError(f"programs must be runnable on this machine, got: {error}") from error
