"""Adds up the memory of all processes of a program; the limit on address space binds each of them alone."""

from __future__ import annotations

import contextlib
import os

from qstar_pl.sandbox.limits import MIB

INTERVAL_S = 0.02
_COUNTED = (b"RssAnon:", b"RssShmem:")


class MemoryWatch:
    """Looks at a process and its descendants through a descriptor of /proc, which programs do not have.

    A cgroup would count exactly, but is seldom delegated to an ordinary process; this is the same bound except for what
    is taken and given back within `INTERVAL_S`. Pages of a shared mapping count once for each process that holds them;
    those that a fork of the launcher starts with do not count.
    """

    def __init__(self, proc: int, limit_mib: int) -> None:
        self._proc, self._limit = proc, limit_mib * MIB
        # This process is a fork of the launcher too: what it holds is what every program starts with.
        self._base = self._resident(os.getpid())

    def over(self, process: int) -> bool:
        """Return whether the process (as this process numbers it) and its descendants hold more than they may."""
        found, waiting, total = set[int](), [process], 0
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found.add(one)
            total += max(self._resident(one) - self._base, 0)
            waiting += self._children(one)
        return total > self._limit

    def _resident(self, process: int) -> int:
        lines = [line.split() for line in self._read(f"{process}/status").splitlines() if line.startswith(_COUNTED)]
        return sum(int(line[1]) << 10 for line in lines)

    def _children(self, process: int) -> list[int]:
        threads: list[str] = []
        with contextlib.suppress(OSError):
            folder = os.open(f"{process}/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
            try:
                threads = os.listdir(folder)  # noqa: PTH208
            finally:
                os.close(folder)
        return [int(word) for thread in threads for word in self._read(f"{process}/task/{thread}/children").split()]

    def _read(self, path: str) -> bytes:
        with contextlib.suppress(OSError):  # it has ended
            descriptor = os.open(path, os.O_RDONLY, dir_fd=self._proc)
            try:
                return os.read(descriptor, 1 << 16)
            finally:
                os.close(descriptor)
        return b""
