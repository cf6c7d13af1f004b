"""A small process that forks one process per run, so that a program starts in milliseconds and inherits nothing.

Started as a script in a fresh interpreter with an empty environment, so that neither the caller's memory nor its
secrets are anywhere in it; programs and tests reach the forked processes through pipes, never this one. `sandbox.py` is
its client.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import socket
import sys


def _find_package() -> None:
    """Make the project importable, and only for the imports that follow: without `site`, and not for programs."""
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120


_find_package()

from qstar_pl.sandbox import guest, preload, syscalls, tester  # noqa: E402
from qstar_pl.sandbox.limits import Isolation, Layers, Limits  # noqa: E402
from qstar_pl.sandbox.namespaces import settle  # noqa: E402
from qstar_pl.sandbox.supervisor import Assignment, run_apart  # noqa: E402

sys.path.pop()

ROLES = {
    "script": (guest.run_script, 2),
    "calls": (guest.run_calls, 0),
    "tests": (tester.run_tests, 0),
}
"""Role → (what the process does, how many of its channels are its standard input and output)."""
_CHECK_PARENT_MS = 1000
"""How often the launcher looks whether its caller is still there."""


def serve(connection: socket.socket, walls: Isolation, own_id: int | None, parent: int, proc: int | None) -> None:
    """Start what is asked for until the caller goes away; `proc` is a descriptor of /proc, for supervisors."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while os.getppid() == parent:  # a caller that was killed leaves its launcher to another parent
        ready = poll.poll(_CHECK_PARENT_MS)
        _reap()
        if not ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(connection, 65536, 16)
        if not data:
            return
        request = json.loads(data)
        body, standard = ROLES[request["role"]]
        status, leash, *channels = descriptors
        # The role's standard streams come first, with /dev/null for those it has none of; the others follow from 3 on.
        inherited = [*channels[:standard], *[None] * (3 - standard), *channels[standard:]]
        run_apart(Assignment(body, Limits(**request["limits"]), inherited, status, leash, proc), walls, own_id)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> None:
    """Build the walls, say which they are, and serve; argv holds the caller's socket, its process id and the layers."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    parent = int(sys.argv[2])
    layers = Layers(**json.loads(sys.argv[3]))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Every run closes all numbers up to this limit, which may be a million elsewhere.
    resource.setrlimit(resource.RLIMIT_NOFILE, (256 if hard == resource.RLIM_INFINITY else min(256, hard), hard))
    preload.load_common_modules()
    syscalls.adopt_orphans()  # what a supervisor leaves behind is reaped here
    try:  # before `settle`: a private root has no /proc
        proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        proc = None
    walls, own_id = settle(layers)
    syscalls.drop_bounding_set()  # what is gone here need not be dropped for each program
    connection.send(json.dumps(walls.as_dict()).encode())
    # Forked processes share this one's memory; their garbage collectors leave what is frozen, and so its pages, alone.
    gc.collect()
    gc.freeze()
    serve(connection, walls, own_id, parent, proc)


if __name__ == "__main__":
    main()
