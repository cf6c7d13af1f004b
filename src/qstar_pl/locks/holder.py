"""Who holds a lock, and whether it is still there."""

from __future__ import annotations

import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 180.0
"""A holder elsewhere that has not touched its lock for this long is gone; NFS may show a touch a minute late."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str
    machine: str
    """The host's boot and process-id namespace (a container has its own), the scope of a process id."""
    pid: int
    started: str
    """When the process started, in clock ticks since its machine's boot; empty where that is not known."""
    job: str
    """SLURM's number of the job and how often it was requeued, with a dot between; empty outside of SLURM."""
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
            started = _started(self.pid)
            # Where start times are not known (no /proc), only that such a process is there.
            return started is None or ("" not in (started, self.started) and started != self.started)
        mine = Holder.myself()
        if self.job and self.job.partition(".")[0] == mine.job.partition(".")[0]:
            # SLURM requeues a job only when its processes are dead, so an earlier start of this job is gone.
            return int(self.job.partition(".")[2] or 0) < int(mine.job.partition(".")[2] or 0) or silent_s > LIMIT_S
        return silent_s > LIMIT_S


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started, empty where that is not known; None if there is none, or only a zombie."""
    hidden = not Path("/proc/self/stat").exists()
    try:
        os.kill(pid, 0)  # sends nothing, only looks
    except ProcessLookupError:
        return None
    except PermissionError:  # there is one, of another user, which /proc may hide
        hidden = True
    try:
        # The program's name, in parentheses, may hold spaces and parentheses: split after the last one. What follows is
        # the third field, the state; the 22nd is the start.
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return "" if hidden else None
    return None if state in "ZX" else fields[18]
