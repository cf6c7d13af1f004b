"""One writer at a time: a lock that survives kills, containers and network file systems.

A lock is a file that says who holds it. It is made by a hard link, which is atomic even over NFS, where `flock` may be
local to a machine or missing. Its holder touches it every `BEAT_S` seconds. Whoever finds one decides whether the
holder is still there: on the same machine by its process id and that process's start time (ids are used again),
elsewhere by the age of the last touch on the file system's own clock. A stale lock is taken over.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import stat
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.files import naming
from qstar_pl.locks.holder import LIMIT_S, Holder

BEAT_S = 20.0
"""Seconds between two touches."""
UNREADABLE_S = 5.0
"""A lock that names no holder for this long is damaged; writing a new one takes but a moment."""
CLAIM_S = 30.0
"""Nobody needs this long to remove a stale lock: a claim this old is a killed process's."""


class Lock:
    """Held from `acquire` on until `release`, or until this process ends."""

    def __init__(self, path: Path, holder: Holder, taken_from: Holder | None) -> None:
        self.path = path
        self.holder = holder
        self.taken_from = taken_from
        """Who held it before, and ended without releasing it."""
        self.lost = False
        """Whether another process was seen to have it, because this one seemed to be gone; see `check`."""
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
            OSError: that names the file, if it cannot be written, as on a full disk; then nothing is left of it.

        """
        path.parent.mkdir(parents=True, exist_ok=True)
        mine, taken_from = Holder.myself(), None
        own = path.with_name(f"{path.name}.{mine.token}")
        try:
            with naming(path):  # in full under a name of its own first: a lock made by a link is never half written
                own.write_text(json.dumps(asdict(mine)))
            while not _link(own, path):
                found = check_free(path, what)
                # One's own process cannot be a predecessor: a lock of this process may be taken again.
                if _put_aside(path, found) and found is not None and not found.is_mine():
                    taken_from = found
        finally:
            own.unlink(missing_ok=True)
        return cls(path, mine, taken_from)

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        self._stop.set()
        atexit.unregister(self.release)
        # After a fork `is_mine` is false in the child, which inherits the exit handler but not the lock.
        if self.holder.is_mine() and _read(self.path) == self.holder:
            self.path.unlink(missing_ok=True)

    def check(self, what: str) -> None:
        """Check, before something is written, that the lock is still this process's.

        Args:
            what: it protects, for the message.

        Raises:
            UserError: if it has been lost.

        """
        self.lost = self.lost or is_lost(self.path, self.holder)
        if self.lost:
            raise lost(what, self.path)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            self.lost = self.lost or is_lost(self.path, self.holder)
            if self.lost:
                return
            with contextlib.suppress(OSError):  # the file system is away for a moment
                os.utime(self.path)


def is_lost(path: Path, holder: Holder) -> bool:
    """Return whether a lock is no longer the holder's; one that cannot be read just now counts as its own."""
    try:
        return _look(path) != holder
    except OSError:
        return False


def lost(what: str, path: Path) -> UserError:
    """Return the error of a holder that finds its lock lost."""
    return UserError(
        f"another run has taken over {what}, or its lock was deleted: {path} is no longer this run's, which may have "
        f"given no sign of life for {LIMIT_S:.0f} s; it ends here and writes no more"
    )


def check_free(path: Path, what: str) -> Holder | None:
    """Return who left the lock behind, if anybody: it may be taken. For one that cannot be read yet, wait a moment.

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


def last_holder(path: Path) -> tuple[Holder, bool] | None:
    """Return who took a lock last, and whether that process is still there; None if the lock names nobody.

    Writes nothing beside the lock, unlike `check_free`, so it also answers in a folder of somebody else's.
    """
    holder = _read(path)
    if holder is None:
        return None
    try:
        silent_s = abs(time.time() - path.stat().st_mtime)
    except OSError:  # released in this moment
        return None
    return holder, holder.is_mine() or not holder.is_gone(silent_s)


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
            with naming(path), path.open("x", encoding="utf-8") as file:
                try:
                    file.write(own.read_text(encoding="utf-8"))
                    file.flush()
                except OSError:
                    path.unlink(missing_ok=True)  # half of it would keep others waiting
                    raise
        except FileExistsError:
            return False
    return True


def _put_aside(path: Path, found: Holder | None) -> bool:
    """Remove the lock that was found stale; return False if another process does, or if there is another lock by now.

    A claim, a file beside the lock, decides who may. Moving the lock away to see whose it is would open a gap, in which
    a third process takes the lock although a second one has just begun.
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
        # Another process may have taken the stale lock over before this one got the claim: look again.
        same = path.exists() and _read(path) == found
        if found is None:  # it names nobody: it could also be one that is just being written
            same = same and (_silent(path) or 0.0) > UNREADABLE_S
        if same:
            path.unlink(missing_ok=True)
        return same
    finally:
        claim.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    try:
        return _look(path)
    except OSError:
        return None


def _look(path: Path) -> Holder | None:
    """Return who holds a lock, None if the file names nobody or is not there; raises OSError if that is not known."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block
            return None
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _silent(path: Path) -> float | None:
    """Return the seconds since a lock was last touched; None if there is none."""
    try:
        return abs(_now(path) - path.stat().st_mtime)  # abs: a touch from the future, after a clock was set, is old too
    except FileNotFoundError:
        return None


def _now(path: Path) -> float:
    """Return the time on the clock that stamps the file system's files, which may be another machine's."""
    probe = path.with_name(f"{path.name}.{uuid.uuid4().hex}.now")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
