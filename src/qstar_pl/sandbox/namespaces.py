"""Moves the launcher behind its walls, and finds out which of them this kernel allows by building them.

A process that may set user ids (root, also inside a container) maps two of them: its own, for the trusted part, and an
unused one, as which programs run. Anyone else maps only its own. See user_namespaces(7).
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from qstar_pl.sandbox import seccomp, syscalls
from qstar_pl.sandbox.confinement import confine, enter_own
from qstar_pl.sandbox.limits import Isolation, Layers, Limits
from qstar_pl.sandbox.private_root import PROGRAM_ID, enter_private_root

NONE = Isolation(user=False, processes=False, network=False, files=False, seccomp=False, other_user=False)
_SPACES = syscalls.NEWNS | syscalls.NEWNET | syscalls.NEWIPC | syscalls.NEWUTS
_UNUSED_IDS = range(61_184, 65_520)
"""systemd's range for dynamic users: ids that are never given out for good."""


def plan(layers: Layers) -> list[Isolation]:
    """Return the sets of walls to try, the best first; the last one always works."""
    may_change_user = layers.other_user and os.geteuid() == 0 and unused_id() is not None
    filtered = layers.seccomp and _refusal(_try_seccomp) is None
    least = replace(NONE, seccomp=filtered, other_user=may_change_user)
    if not layers.namespaces:
        return [least]
    spaces = replace(least, processes=True, network=True)
    files = (True, False) if layers.private_files else (False,)
    return [*(replace(spaces, files=private, user=user) for private in files for user in (True, False)), least]


def settle(layers: Layers) -> tuple[Isolation, int | None]:
    """Build the best set of walls that works around this process.

    Returns:
        The walls, and the user and group id that a program takes on before it starts, None to keep this process's.

    """
    other = unused_id()
    refused = ""
    for walls in plan(layers):
        own = (PROGRAM_ID if walls.user else other) if walls.other_user else None
        # In a copy of this process, for nothing that it enters can be left again.
        reason = _refusal(partial(_rehearse, walls, own))
        if reason is None:
            vsock = not walls.seccomp and _refusal(_try_vsock) is None
            enter(walls)
            return replace(walls, vsock=vsock, reason=refused), own
        refused = refused or reason
    raise OSError("no way of running programs works on this machine")


def enter(walls: Isolation) -> None:
    """Move this process behind the walls that all its programs share."""
    if walls.processes:
        if walls.user:
            _enter_user_namespace(two_ids=walls.other_user)  # first: it brings the rights to make the others
        syscalls.unshare(_SPACES)
        socket.sethostname("sandbox")
    if walls.files:
        enter_private_root()


def unused_id() -> int | None:
    """Return a user id that this process may take on and that nobody has, None if there is none.

    It is drawn by process id, so that two launchers seldom share the count of their processes.
    """
    for offset in range(len(_UNUSED_IDS)):
        number = _UNUSED_IDS[(os.getpid() + offset) % len(_UNUSED_IDS)]
        if _mapped(number) and not _has_name(number):
            return number
    return None


def _has_name(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _mapped(number: int) -> bool:
    """Return whether the current user namespace has such an id."""
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as file:  # noqa: PTH123
            lines = [[int(word) for word in line.split()] for line in file]
    except OSError:
        return False
    return any(inside <= number < inside + count for inside, _, count in lines)


def _enter_user_namespace(*, two_ids: bool) -> None:
    uid, gid, other = os.geteuid(), os.getegid(), unused_id()
    if not two_ids or other is None:
        syscalls.unshare(syscalls.NEWUSER)
        _write("/proc/self/setgroups", "deny")  # without it the kernel refuses an ordinary user's gid_map
        _write("/proc/self/gid_map", f"{PROGRAM_ID} {gid} 1")
        _write("/proc/self/uid_map", f"{PROGRAM_ID} {uid} 1")
        return
    # Only a process outside, with its capabilities there, may map an id that is not its own.
    go_read, go_write = os.pipe()
    parent = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.close(go_write)
        code = 1
        try:
            if os.read(go_read, 1):  # empty if unshare has failed
                _write(f"/proc/{parent}/gid_map", f"0 {gid} 1\n{PROGRAM_ID} {other} 1")
                _write(f"/proc/{parent}/uid_map", f"0 {uid} 1\n{PROGRAM_ID} {other} 1")
                code = 0
        finally:
            os._exit(code)
    os.close(go_read)
    try:
        syscalls.unshare(syscalls.NEWUSER)
        os.write(go_write, b"g")
    finally:
        os.close(go_write)
        _, status = os.waitpid(helper, 0)
    if status != 0:
        raise PermissionError("the user ids of the namespace cannot be mapped")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _refusal(attempt: Callable[[], None]) -> str | None:
    """Return how a function fails in a forked copy of this process, None if it does not."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        words = "it was ended"
        try:
            attempt()
            words = ""
        except BaseException as error:
            words = str(error) or type(error).__name__
        finally:
            os.write(said, words.encode(errors="replace")[:400])
            os._exit(bool(words))
    os.close(said)
    words = os.read(heard, 400).decode(errors="replace")
    os.close(heard)
    return None if os.waitpid(child, 0)[1] == 0 else words or "it was ended"


def _rehearse(walls: Isolation, own_id: int | None) -> None:
    """Do all that a program's start does, so that what is refused there is found out here."""
    enter(walls)
    if walls.processes:
        enter_own(walls, Limits())
    if os.waitpid(_confined_child(walls, own_id), 0)[1] != 0:
        raise OSError("a program cannot be confined")


def _confined_child(walls: Isolation, own_id: int | None) -> int:
    parent = 0 if walls.processes else os.getpid()  # the child is the first process of its namespace
    child = os.fork()
    if child == 0:
        code = 1
        try:
            confine(walls, Limits(), own_id, parent)
            code = 0
        finally:
            os._exit(code)
    return child


def _try_vsock() -> None:
    # 40: Linux's number, for a Python that was built without the name.
    socket.socket(getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM).close()


def _try_seccomp() -> None:
    if not seccomp.supported():
        raise OSError("seccomp: unknown machine")
    syscalls.no_new_privileges()
    options = seccomp.FilterOptions(own_pid=os.getpid(), new_processes=False, open_files=False)
    syscalls.install_filter(seccomp.build_filter(options, os.uname().machine))
