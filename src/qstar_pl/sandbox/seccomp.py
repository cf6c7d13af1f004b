"""A seccomp filter in classic BPF: what a program may not ask of the kernel, whatever Python offers it.

A list of refusals, not of permissions, so that a solution does not fail over a harmless call of its interpreter; calls
younger than the list are refused. It stands beside the namespaces and covers for them where the kernel has none: no
sockets, nothing asynchronous, no signals to and no looks into other processes, no shared memory, no new program, and on
request no new process and no opened file. See seccomp(2) and Documentation/userspace-api/seccomp_filter.rst of the
kernel.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from functools import lru_cache

from qstar_pl.sandbox import syscall_numbers as numbers

# <linux/bpf_common.h>: LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, JMP|JSET|K, RET|K.
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# <linux/seccomp.h>: what a filter returns (with ERRNO the code in the low 16 bits), and offsets in struct seccomp_data.
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_PR_SET_PDEATHSIG = 1
_SUPERVISOR = 1
"""Process id of a pid namespace's first process."""

Instruction = tuple[int, int, int, int]
"""(operation, instructions to skip if true, if false, operand)."""


@dataclass(frozen=True)
class FilterOptions:
    """What the filter refuses besides its fixed list."""

    own_pid: int | None
    """The only process that may get signals and limits; None where a pid namespace bounds them: all but its first."""
    new_processes: bool
    """Whether fork is allowed."""
    open_files: bool
    """Whether files may be opened and changed."""


def supported() -> bool:
    """Return whether the filter knows this machine's numbers."""
    return platform.machine() in _AUDIT


@lru_cache(8)
def build_filter(options: FilterOptions, machine: str) -> bytes:
    """Return the BPF program for x86_64 or aarch64: 8 bytes per instruction, in this machine's byte order."""
    column = list(_AUDIT).index(machine)
    tables = [numbers.OTHER_PROCESSES, numbers.ASYNCHRONOUS, numbers.SOCKETS, numbers.SHARED_MEMORY, numbers.SYSTEM]
    tables += [] if options.new_processes else [numbers.NEW_PROCESSES]
    tables += [] if options.open_files else [numbers.FILES]
    program: list[Instruction] = [
        # Numbers mean something else in another architecture, such as 32-bit calls on x86_64.
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _AUDIT[machine]),
        _give(_KILL),
        (_LOAD, 0, 0, _NUMBER),
        # ENOSYS makes libc fall back on older calls. Also catches x32's calls, whose numbers have bit 30 set.
        (_JUMP_AT_LEAST, 0, 1, numbers.NEWEST + 1),
        _refuse(errno.ENOSYS),
    ]
    for table in tables:
        for pair in table.values():
            if (number := pair[column]) is not None:
                program += [(_JUMP_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    for name, body in _by_argument(options).items():
        number = numbers.BY_ARGUMENT[name][column]
        assert number is not None
        program += [(_JUMP_EQUAL, 0, len(body), number), *body]
    program.append(_give(_ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _by_argument(options: FilterOptions) -> dict[str, list[Instruction]]:
    """Return for each call what decides it; such a body always returns."""
    load = (_LOAD, 0, 0, _FIRST_ARGUMENT)  # the low half: process ids and clone's flags have 32 bits
    allow, refuse = _give(_ALLOW), _refuse(errno.EPERM)
    # EAGAIN is what fork says at a limit on processes.
    no_fork = [] if options.new_processes else [(_JUMP_SET, 1, 0, _CLONE_THREAD), _refuse(errno.EAGAIN)]
    bodies = {
        # glibc falls back to clone, whose flags a filter can read.
        "clone3": [_refuse(errno.ENOSYS)],
        "clone": [load, (_JUMP_SET, 0, 1, _CLONE_NAMESPACES), refuse, *no_fork, allow],
        "prctl": [load, (_JUMP_EQUAL, 0, 1, _PR_SET_PDEATHSIG), refuse, allow],
    }
    if options.own_pid is None:
        # The first process is the supervisor; an ordinary user's program has the same user id and could signal it.
        others = [load, (_JUMP_EQUAL, 0, 1, _SUPERVISOR), refuse, allow]
        bodies["kill"] = bodies["tgkill"] = bodies["prlimit64"] = others
    else:
        mine = [load, (_JUMP_EQUAL, 0, 1, options.own_pid), allow]
        bodies["kill"] = bodies["tgkill"] = [*mine, refuse]
        # 0 is the process itself.
        bodies["prlimit64"] = [*mine, (_JUMP_EQUAL, 0, 1, 0), allow, refuse]
    return bodies


def _give(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _refuse(code: int) -> Instruction:
    return _give(_ERRNO | code)
