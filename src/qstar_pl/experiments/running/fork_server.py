"""Forks processes that have imported what a run needs: `python -m` this module DESCRIPTOR MODULE IMPORT…

It imports the last ones once. For every request it forks a child, which then is `python -m MODULE WORDS…` in a session
of its own. What a fork would break is never forked: with a thread beside the main one it says so and ends.

Over the socket DESCRIPTOR come packets {"words": […]}, each with two open files, the log and one that the child holds
open while it lives. Back go {"unsafe": reason or ""} once, {"pid": number} when a child has been started, and {"pid":
number, "code": exit code or minus a signal} when it has ended. The end of the socket ends the server, no child.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import socket
import sys
from pathlib import Path
from typing import Any

POLL_S = 0.05
"""Seconds between two looks at the children."""
LONGEST = 1 << 20
"""Bytes of a packet."""
HARMLESS = ("jemalloc_bg_thd",)
"""Threads of libraries that see to them themselves before and after a fork."""


def main() -> None:
    """Serve in this process; return, or run a module as a child of it."""
    path = list(sys.path)
    if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109 (as Python wrote it)
        del sys.path[0]  # a file of the working folder that is called like a library must not be imported here either
    connection, module = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    for name in sys.argv[3:]:
        importlib.import_module(name)
    beside = threads()
    _say(connection, unsafe=f"{', '.join(beside)} beside the main thread" if beside else "")
    words = None if beside else _serve(connection)
    if words is not None:
        sys.path[:] = path
        sys.argv[1:] = words
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def threads() -> list[str]:
    """Return the names of this process's threads that a fork would lose, among them those of C libraries."""
    main_thread = str(os.getpid())
    tasks = [one for one in Path("/proc/self/task").iterdir() if one.name != main_thread]
    names = [(one / "comm").read_text().strip() for one in tasks]
    return [name for name in names if name not in HARMLESS]


def _serve(connection: socket.socket) -> list[str] | None:
    """Fork until nobody asks any more, which is None; in a child return its words."""
    gc.collect()
    gc.freeze()  # or the first collection of each child would copy every page
    while True:
        ready, _, _ = select.select([connection], [], [], POLL_S)
        if ready:
            packet, files, _, _ = socket.recv_fds(connection, LONGEST, 2)
            if not packet:
                return None
            words: list[str] = json.loads(packet)["words"]
            pid = _forked(*files)
            if pid == 0:
                connection.close()
                return words
            _say(connection, pid=pid)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                _say(connection, pid=ended[0], code=os.waitstatus_to_exitcode(ended[1]))


def _forked(log: int, held: int) -> int:
    """Fork; return once the child, in which this is 0, can be sent signals as a group."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.set_inheritable(held, True)
        _own_chance()
        for one in (log, heard, told):
            os.close(one)
        return 0
    for one in (log, held, told):
        os.close(one)
    os.read(heard, 1)  # ends when the child closes it, or dies
    os.close(heard)
    return pid


def _own_chance() -> None:
    """Seed anew what a fresh process seeds by chance; Python's own `random` does so by itself."""
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.seed()


def _say(connection: socket.socket, **what: Any) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is seen at the next look
        connection.send(json.dumps(what).encode())


if __name__ == "__main__":
    main()
