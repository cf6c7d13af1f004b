"""Runs side by side in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import IO

from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.reuse import Reuse
from qstar_pl.experiments.running.starting import Afresh, Forked, Started, Starter

POLL_S = 0.1
"""Seconds between two looks at the processes."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""What glibc gives back to the system: otherwise each larger tensor is new memory, filled with zeros page by page."""
Told = Callable[[str], None]


class Ended(SystemExit):
    """A signal ended the experiment; its exit code is 128 + the signal's number."""


@dataclass(frozen=True)
class _Active:
    run: PlannedRun
    process: Started | None
    """None: it belongs to an earlier start of this command, which was killed, or to a parent that was."""
    since: float


class Processes:
    """Starts as many at a time as there are jobs, and waits for all.

    Each has a process group of its own, so that Ctrl-C reaches this process alone, which passes it on: `qstar fit`
    saves its step and ends. A second Ctrl-C kills.
    """

    def __init__(
        self,
        argv: Callable[[PlannedRun], Sequence[str]] | None,
        jobs: int,
        threads: int,
        tell: Told,
        reuse: Reuse | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            argv: command of a run; None: the runs are forked.
            jobs: how many run at a time.
            threads: of each.
            tell: is told each line about what happens.
            reuse: where equal runs are looked for; None: nowhere.

        """
        self.jobs, self.tell, self.reuse = jobs, tell, reuse
        self.starter: Starter = Forked(lambda: not self._stop) if argv is None else Afresh(argv)
        self.environment = {**MEMORY, **os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
        self._stop: list[int] = []
        """Signals that have come."""
        self._passed = 0
        """How many of them the processes have been told."""
        self._taken: list[float] = []
        """Seconds of the runs that have finished."""

    def start(self, runs: Sequence[PlannedRun]) -> None:
        """Run all of them.

        Raises:
            Ended: after a signal, once all processes have ended.
            OSError: if a run's folder cannot be written, as on a full disk; also once all have ended.

        """
        waiting, active = deque(runs), list[_Active]()
        with self._signals(), contextlib.closing(self.starter):
            try:
                self._run(waiting, active, len(runs))
            except BaseException:  # a full disk, on which it cannot be noted what has begun or ended
                self._leave_none(active)
                raise
        if self._stop:
            raise Ended(128 + self._stop[0])

    def _run(self, waiting: deque[PlannedRun], active: list[_Active], total: int) -> None:
        """Start what waits, and wait for all that is active."""
        while active or (waiting and not self._stop):
            while len(active) < self.jobs and not self._stop and (run := self._next(waiting, active)) is not None:
                waiting.remove(run)
                if self._has_no_start(run):
                    continue
                if (origin := None if self.reuse is None else self.reuse.take(run)) is not None:
                    self.tell(f"run {total - len(waiting)} of {total} ({run.name}): taken over from {origin}")
                    continue
                active.append(self._started(run, total - len(waiting), total))
            time.sleep(POLL_S)
            active[:] = [self._owned(one) for one in active]
            for one in list(active):
                if self._has_ended(one):
                    active.remove(one)
                    if one.process is None and not self._stop:
                        waiting.appendleft(one.run)  # which may have been killed as well; if not, nothing is left to do
            self._pass_on(active)

    def _leave_none(self, active: list[_Active]) -> None:
        """Let every process save its step and end, as after Ctrl-C: none goes on with nobody to wait for it."""
        self._stop = self._stop or [signal.SIGTERM]
        while active:
            self._pass_on(active)
            time.sleep(POLL_S)
            active[:] = [one for one in map(self._owned, active) if not self._is_through(one)]

    def _is_through(self, one: _Active) -> bool:
        with contextlib.suppress(OSError):
            return self._has_ended(one)
        return True  # what it came to cannot be noted; the next start sees it from the run's own folder

    def _next(self, waiting: Sequence[PlannedRun], active: Sequence[_Active]) -> PlannedRun | None:
        """Return the first that may start.

        While an equal run is at work, it is waited for, to be taken over; so is the stage that a run starts from.
        """
        busy = set() if self.reuse is None else {one.run.equal for one in active}
        due = {run.folder.path for run in (*waiting, *(one.run for one in active))}
        ready = (run for run in waiting if run.base is None or run.base.folder.path not in due)
        return next((run for run in ready if run.equal not in busy), None)

    def _has_no_start(self, run: PlannedRun) -> bool:
        """Return whether the stage that a run starts from has failed, which it then does too."""
        if run.base is None or run.base.state == "finished":
            return False
        reason = f"{run.base.name}, from which it starts, has failed: {run.base.folder.reason()}"
        run.folder.fail(run.asks(), reason)
        self.tell(f"  failed: {run.name}: {reason}")
        return True

    def _started(self, run: PlannedRun, number: int, total: int) -> _Active:
        lock = run.folder.lock()
        if lock is None or run.folder.is_written():
            self.tell(f"run {number} of {total} ({run.name}): still at work since an earlier start; waiting for it")
            _close(lock)
            return _Active(run, None, time.monotonic())
        if run.is_changed:  # only now, since it was at work before: what it has saved is another run's
            lock.close()
            self.tell(run.put_aside())
            return self._started(run, number, total)
        left = f", about {_minutes(self._left(total - number + 1))} left" if self._taken else ""
        self.tell(f"run {number} of {total} ({run.name}){left}")
        run.folder.begin(run.asks())
        with run.folder.log.open("ab") as log, lock:
            process = self.starter.start(run, log, lock, self.environment)
        return _Active(run, process, time.monotonic())

    def _owned(self, one: _Active) -> _Active:
        """Return it as one that is waited for, if its exit code will never be known."""
        with contextlib.suppress(ProcessLookupError):
            if one.process is not None:
                one.process.poll()
            return one
        self.tell(f"  {one.run.name}: its parent process was killed; waiting for it")
        return replace(one, process=None)

    def _has_ended(self, one: _Active) -> bool:
        if one.process is None:
            return bool(self._stop) or not one.run.folder.is_alive()
        code = one.process.poll()
        if code is None:
            return False
        if self._stop:  # it goes on from its checkpoint at the next start, unless it was through
            if code == 0:
                one.run.folder.end(code)
            return True
        code = code if code >= 0 else 128 - code
        one.run.folder.end(code)
        taken = time.monotonic() - one.since
        if code == 0:
            self._taken.append(taken)
            self.tell(f"  finished: {one.run.name}, {taken:.0f} s")
        else:
            self.tell(f"  failed: {one.run.name}: {one.run.folder.reason()} ({one.run.folder.log})")
        return True

    def _left(self, count: int) -> float:
        """Return about how many seconds so many runs take."""
        return count * sum(self._taken) / len(self._taken) / self.jobs

    def _pass_on(self, active: Sequence[_Active]) -> None:
        """Send the first signal to every process, and kill them after the second; each once."""
        if len(self._stop) <= self._passed:
            return
        number = self._stop[0] if self._passed == 0 else signal.SIGKILL
        self._passed = len(self._stop)
        for one in active:
            if one.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(one.process.pid, number)
        if active and number != signal.SIGKILL:
            said = "1 run saves its" if len(active) == 1 else f"{len(active)} runs save their"
            self.tell(f"stopping: {said} step, then it is over (Ctrl-C again kills)")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._stop.append(number)

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _close(file: IO[bytes] | None) -> None:
    if file is not None:
        file.close()
