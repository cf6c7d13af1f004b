"""How one run's process is started: afresh, or forked from one that has imported everything."""

from __future__ import annotations

import json
import select
import socket
import subprocess  # nosec B404 - to start this program itself, or what the user's template says
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol

from qstar_pl.experiments.running.fork_server import LONGEST
from qstar_pl.experiments.running.planned import PlannedRun

LOOK_S = 0.1
"""Seconds between two looks at whether to go on waiting for a server."""
MODULE, IMPORTS = "qstar_pl", ("qstar_pl.cli.trainer",)
"""What runs are, as in `python -m`, and what is imported before they are forked."""


class Started(Protocol):
    """A process, as `subprocess.Popen` has it."""

    pid: int
    """Also of its process group."""

    def poll(self) -> int | None:
        """Return its exit code, minus the number of the signal that killed it, or None while it runs."""


class Starter(ABC):
    """Starts the processes of runs, each in a group of its own."""

    @abstractmethod
    def start(self, run: PlannedRun, log: IO[bytes], lock: IO[bytes], environment: Mapping[str, str]) -> Started:
        """Start one.

        Args:
            run: that it is to do.
            log: where its output goes.
            lock: what it holds open as long as it lives.
            environment: of the process.

        """

    def close(self) -> None:
        """Leave the processes to themselves."""
        return


class Afresh(Starter):
    """Each from nothing, by a command."""

    def __init__(self, argv: Callable[[PlannedRun], Sequence[str]]) -> None:
        self.argv = argv

    def start(self, run: PlannedRun, log: IO[bytes], lock: IO[bytes], environment: Mapping[str, str]) -> Started:
        """See `Starter.start`."""
        return subprocess.Popen(  # nosec B603 - a list of words, or the user's own template
            list(self.argv(run)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )


class Forked(Starter):
    """Each forked from a server that has imported everything, which saves a run several seconds of a core.

    The environment is that of the first. Where the server cannot be had, or says that a fork is not safe, each is
    started afresh.
    """

    def __init__(self, goes_on: Callable[[], bool], module: str = MODULE, imports: Sequence[str] = IMPORTS) -> None:
        """Start nothing yet.

        Args:
            goes_on: whether to wait on for the server; asked several times a second.
            module: that each process runs, as in `python -m`.
            imports: modules that are imported before.

        """
        self.goes_on, self.module, self.imports = goes_on, module, imports
        self._afresh = Afresh(lambda run: [sys.executable, "-m", module, *run.words])
        self._server: _Server | None = None

    def start(self, run: PlannedRun, log: IO[bytes], lock: IO[bytes], environment: Mapping[str, str]) -> Started:
        """See `Starter.start`."""
        if self._server is None:
            self._server = _Server(self.module, self.imports, environment)
        started = self._server.fork(run.words, log, lock) if self._server.is_ready(self.goes_on) else None
        return self._afresh.start(run, log, lock, environment) if started is None else started

    def close(self) -> None:
        """End the server; what it has forked lives on."""
        if self._server is not None:
            self._server.end()


class _Server:
    def __init__(self, module: str, imports: Sequence[str], environment: Mapping[str, str]) -> None:
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [sys.executable, "-m", "qstar_pl.experiments.running.fork_server", str(theirs.fileno()), module]
            self.process = subprocess.Popen(  # nosec B603 - a list of words, this program itself
                [*words, *imports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        self.is_there = True
        self.codes: dict[int, int] = {}
        """Exit codes of the children that have ended."""
        self._ready: bool | None = None

    def is_ready(self, goes_on: Callable[[], bool]) -> bool:
        """Wait until it can fork, or it is known that it will not, or there is no use in waiting."""
        while self._ready is None and self.is_there and goes_on():
            said = self._hear(LOOK_S)
            self._ready = None if said is None else not said["unsafe"]
        return self.is_there and bool(self._ready)

    def fork(self, words: Sequence[str], log: IO[bytes], lock: IO[bytes]) -> Started | None:
        """Return a new child; None if the server is gone."""
        try:
            socket.send_fds(
                self.connection, [json.dumps({"words": list(words)}).encode()], [log.fileno(), lock.fileno()]
            )
        except OSError:
            self.is_there = False
            return None
        while self.is_there:
            said = self._hear(LOOK_S)
            if said is not None and "code" not in said:
                return _Child(said["pid"], self)
        return None

    def code(self, pid: int) -> int | None:
        """Return the exit code of a child that has ended."""
        while self._hear(0) is not None:
            pass
        return self.codes.get(pid)

    def end(self) -> None:
        """End it, whatever it is at: all that counts are its children."""
        self.connection.close()
        self.process.kill()
        self.process.wait()

    def _hear(self, within_s: float) -> dict[str, Any] | None:
        """Return the next thing that it says, if it comes in time."""
        if not self.is_there or not select.select([self.connection], [], [], within_s)[0]:
            return None
        try:
            packet = self.connection.recv(LONGEST)
        except OSError:
            packet = b""
        if not packet:
            self.is_there = False
            return None
        said: dict[str, Any] = json.loads(packet)
        if "code" in said:
            self.codes[said["pid"]] = said["code"]
        return said


class _Child:
    def __init__(self, pid: int, server: _Server) -> None:
        self.pid, self.server = pid, server

    def poll(self) -> int | None:
        """See `Started.poll`.

        Raises:
            ProcessLookupError: if the server was killed, and what became of the process is not known.

        """
        code = self.server.code(self.pid)
        if code is None and not self.server.is_there:
            raise ProcessLookupError(f"the parent of process {self.pid} was killed")
        return code
