"""One writer at a time: a lock that survives kills, containers and network file systems.

A lock is a file that says who holds it. It is made by a hard link, which is all or nothing also over NFS, where `flock`
may be local to a machine or missing. Its holder touches it every `BEAT_S` seconds. Whoever finds one decides whether
the holder is still there: on the same machine by its process id and that process's start (ids are used again), anywhere
else by how old the last touch is, on the file system's own clock. A stale lock is taken over.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from qstar_pl.errors import UserError

BEAT_S = 20.0
"""Between two touches."""
LIMIT_S = 180.0
"""A holder on another machine that has not touched its lock for so long is gone; NFS may show a touch a minute late."""
UNREADABLE_S = 5.0
"""A lock in which nobody's name is to be read for so long is damaged; a new one is written in a moment."""
CLAIM_S = 30.0
"""Nobody needs so long to remove a stale lock."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str
    machine: str
    """Tells boots and containers of a host apart, within which process ids mean something."""
    pid: int
    started: str
    """When the process started, in its machine's own count; empty where that is not known."""
    job: str
    """SLURM's number of the job and how often it has been queued again; empty outside of SLURM."""
    since: str
    """When the lock was taken, local time."""
    token: str

    @classmethod
    def myself(cls) -> Holder:
        """Return this process, as the holder of a new lock."""
        job = os.environ.get("SLURM_JOB_ID", "")
        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=_started(os.getpid()) or "",
            job=f"{job}.{os.environ.get('SLURM_RESTART_COUNT', '0')}" if job else "",
            since=time.strftime("%Y-%m-%d %H:%M:%S"),
            token=uuid.uuid4().hex,
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_mine(self) -> bool:
        """Return whether this very process is the holder."""
        return (self.host, self.machine, self.pid) == (socket.gethostname(), _machine(), os.getpid())

    def is_gone(self, silent_s: float) -> bool:
        """Return whether the holder has ended.

        Args:
            silent_s: since its last touch.

        """
        if (self.host, self.machine) == (socket.gethostname(), _machine()):
            return _started(self.pid) != (self.started or None)
        mine = Holder.myself()
        if self.job and self.job.partition(".")[0] == mine.job.partition(".")[0]:
            # SLURM queues a job again only when its processes are dead.
            return int(self.job.partition(".")[2] or 0) < int(mine.job.partition(".")[2] or 0) or silent_s > LIMIT_S
        return silent_s > LIMIT_S


class Lock:
    """Held from `acquire` on until `release`, or until this process ends."""

    def __init__(self, path: Path, holder: Holder, taken_from: Holder | None) -> None:
        self.path = path
        self.holder = holder
        self.taken_from = taken_from
        """Who held it before and is gone without having released it."""
        self.lost = False
        """Whether another process has taken it over, since this one seemed to be gone."""
        self._stop = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name=f"lock {path}").start()
        atexit.register(self.release)

    @classmethod
    def acquire(cls, path: Path, what: str) -> Lock:
        """Take a lock.

        Args:
            path: of its file.
            what: it protects, for the message.

        Raises:
            UserError: if somebody else holds it.

        """
        path.parent.mkdir(parents=True, exist_ok=True)
        mine, taken_from = Holder.myself(), None
        own = path.with_name(f"{path.name}.{mine.token}")
        own.write_text(json.dumps(asdict(mine)))
        try:
            while not _link(own, path):
                found = check_free(path, what)
                if _put_aside(path, found) and found is not None and not found.is_mine():
                    taken_from = found
        finally:
            own.unlink(missing_ok=True)
        return cls(path, mine, taken_from)

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        self._stop.set()
        atexit.unregister(self.release)
        if self.holder.is_mine() and _read(self.path) == self.holder:
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                if _read(self.path) != self.holder:
                    self.lost = True
                    return
                os.utime(self.path)
            except OSError:  # a file system that is away for a moment
                continue


def check_free(path: Path, what: str) -> Holder | None:
    """Return who left the lock behind, if anybody; it may be taken. One that cannot be read is waited for a moment.

    Raises:
        UserError: if somebody else holds it.

    """
    while (silent_s := _silent(path)) is not None:
        found = _read(path)
        if found is None and silent_s <= UNREADABLE_S:  # it is being written on a file system without links
            time.sleep(UNREADABLE_S / 50)
            continue
        if found is None or found.is_mine() or found.is_gone(silent_s):
            return found
        raise UserError(_held(found, path, what))
    return None


def _held(found: Holder, path: Path, what: str) -> str:
    return (
        f"{what}, where {found} has been at work since {found.since}; wait for its end, or begin another run beside it "
        f"(if that process is gone, delete {path})"
    )


def _link(own: Path, path: Path) -> bool:
    """Make `own` the lock if there is none; return whether it is."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:
        if own.stat().st_nlink == 2:  # NFS lost the answer, not the link
            return True
        try:  # a file system without links
            with path.open("x") as file:
                file.write(own.read_text())
        except FileExistsError:
            return False
    return True


def _put_aside(path: Path, found: Holder | None) -> bool:
    """Remove the lock that was found stale; return False if another process does it, or by now another lock is there.

    Who may is decided by a file beside it. Moving the lock away to see whose it is would open a gap, in which a third
    process takes its place although a second one has just begun.
    """
    claim = path.with_name(f"{path.name}.claim")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            if _now(path) - claim.stat().st_mtime > CLAIM_S:  # its process was killed in these few lines
                claim.unlink()
        time.sleep(0.01)
        return False
    try:
        same = path.exists() and _read(path) == found
        if found is None:  # nobody's name stands in it: it could also be one that is just being written
            same = same and (_silent(path) or 0.0) > UNREADABLE_S
        if same:
            path.unlink(missing_ok=True)
        return same
    finally:
        claim.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _silent(path: Path) -> float | None:
    """Return how far from now a lock was touched last, in s; None if there is none."""
    try:
        return abs(_now(path) - path.stat().st_mtime)
    except FileNotFoundError:
        return None


def _now(path: Path) -> float:
    """Return the time on the clock by which the file system stamps files, which may be another machine's."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}.now")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started, empty where that is not known; None if there is none, or only its remains."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if not Path("/proc/self/stat").exists() else None
    return None if state in "ZX" else fields[18]
