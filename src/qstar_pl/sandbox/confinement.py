"""What each program gets for itself before it starts: namespaces, limits, an identity without rights, the filter."""

from __future__ import annotations

import os
import resource

from qstar_pl.sandbox import seccomp, syscalls
from qstar_pl.sandbox.limits import MIB, Isolation, Limits
from qstar_pl.sandbox.private_root import PROGRAM_ID, mount_work_folder

_THREADS = 64
_OWN_HELPERS = 16
"""Processes of the launcher that count against a limit per user where the program shares its user id."""
_COUNTED_PER_NAMESPACE = (5, 14)
"""The first Linux that counts a user's processes in each user namespace separately."""


def enter_own(walls: Isolation, limits: Limits) -> None:
    """Give this process's next child a pid namespace, and both a working folder of their own."""
    own_mounts = syscalls.NEWNS if walls.files else 0
    syscalls.unshare(syscalls.NEWPID | syscalls.NEWIPC | own_mounts)
    if walls.files:
        owner = PROGRAM_ID if walls.user else os.geteuid()
        mount_work_folder(limits.files_mib, owner, shared_memory=limits.processes > 1)


def confine(walls: Isolation, limits: Limits, own_id: int | None, parent: int) -> None:
    """Bind this process, which the program then takes over; none of this can be undone from inside.

    Args:
        walls: around the launcher.
        limits: for the program.
        own_id: user and group id that the program takes on, None to keep those it has.
        parent: the process that forked this one, by its id in this one's pid namespace; 0 if it is outside.

    Raises:
        ProcessLookupError: if the parent has ended.

    """
    os.setsid()
    _set_limits(walls, limits, own_id)
    if own_id is not None:  # groups before the user: with its new id the process may not change them
        os.setgroups([])
        os.setresgid(own_id, own_id, own_id)
        os.setresuid(own_id, own_id, own_id)
    syscalls.drop_capabilities()
    syscalls.no_new_privileges()
    syscalls.die_with_parent()  # only now: the kernel forgets it when a process's ids change
    if os.getppid() != parent:  # it ended before it was watched
        raise ProcessLookupError("a program must have a supervisor, which has ended")
    if walls.seccomp:  # last, since it refuses `die_with_parent`
        syscalls.install_filter(call_filter(walls, limits))


def call_filter(walls: Isolation, limits: Limits) -> bytes:
    """Return the filter of system calls for this process; with a pid namespace it is the same for every process."""
    options = seccomp.FilterOptions(
        own_pid=None if walls.processes else os.getpid(),
        new_processes=limits.processes > 1,
        open_files=walls.files,
    )
    return seccomp.build_filter(options, os.uname().machine)


def _set_limits(walls: Isolation, limits: Limits, own_id: int | None) -> None:
    memory, file_size = limits.memory_mib * MIB, limits.files_mib * MIB
    bounds = {
        # The soft limit's signal can be caught, the hard one's cannot.
        resource.RLIMIT_CPU: (limits.cpu_s, limits.cpu_s + 1),
        resource.RLIMIT_AS: (memory, memory),
        resource.RLIMIT_FSIZE: (file_size, file_size),
        resource.RLIMIT_NOFILE: (64, 64),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    if own_id is not None:
        bounds[resource.RLIMIT_NPROC] = (limits.processes + _THREADS,) * 2
    elif walls.user and _kernel() >= _COUNTED_PER_NAMESPACE:
        # Earlier kernels also count what the user runs elsewhere: a limit would refuse at random.
        bounds[resource.RLIMIT_NPROC] = (limits.processes + _THREADS + _OWN_HELPERS,) * 2
    for kind, (soft, hard) in bounds.items():
        ceiling = resource.getrlimit(kind)[1]  # an ordinary process cannot raise it
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def _kernel() -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in os.uname().release.split(".")[:2])
