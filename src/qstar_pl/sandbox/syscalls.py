"""The kernel interfaces that Python 3.11's `os` does not have, through libc; nothing here decides anything.

Each function raises OSError where the kernel refuses. See the manual pages of unshare(2), mount(2), pivot_root(2),
mount_setattr(2), capset(2) and prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)
# A variadic function: without types ctypes would pass ints of 32 bits where the kernel reads 64.
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_NUMBERS = {"x86_64": (155, 442, 126), "aarch64": (41, 442, 91)}
# Numbers that no kernel has: an unknown machine gets ENOSYS.
_PIVOT_ROOT, _MOUNT_SETATTR, _CAPSET = _NUMBERS.get(platform.machine(), (99_999, 99_999, 99_999))


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _syscall(number: int, *arguments: object) -> int:
    return int(_libc.syscall(ctypes.c_long(number), *arguments))


def unshare(flags: int) -> None:
    """Move this process into new namespaces (NEWPID: its next child)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`."""
    arguments = (source.encode(), target.encode(), kind.encode() or None)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount {target}")


def detach(target: str) -> None:
    """Unmount `target` as soon as it is no longer in use."""
    _check(_libc.umount2(target.encode(), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make the mount point `new` the root and put the former one at `old`."""
    _check(_syscall(_PIVOT_ROOT, new.encode(), old.encode()), "pivot_root")


def make_read_only(target: str) -> None:
    """Make all mounts at and below `target` read-only and without set-user-id programs (Linux 5.12)."""
    at_fdcwd, recursive, read_only, no_suid = -100, 0x8000, 0x1, 0x2
    attributes = struct.pack("QQQQ", read_only | no_suid, 0, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    result = _syscall(
        _MOUNT_SETATTR, ctypes.c_int(at_fdcwd), target.encode(), ctypes.c_uint(recursive), attributes, size
    )
    _check(result, f"mount_setattr {target}")


def _prctl(option: int, *values: int) -> int:
    return int(_libc.prctl(option, *values, *[0] * (4 - len(values))))


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends."""
    _check(_prctl(_PR_SET_PDEATHSIG, _SIGKILL), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _check(_prctl(_PR_SET_SUBREAPER, 1), "prctl")


def hide_from_tracers() -> None:
    """Forbid processes without privileges to read this one's memory."""
    _check(_prctl(_PR_SET_DUMPABLE, 0), "prctl")


def no_new_privileges() -> None:
    """Let no later execve gain rights; also what makes seccomp available to everyone."""
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl")


def drop_bounding_set() -> None:
    """Let no later execve bring a capability; those that this process has stay."""
    for capability in range(64):
        # Reading fails beyond the last capability; dropping is refused without CAP_SETPCAP.
        if _prctl(_PR_CAPBSET_READ, capability) == 1:
            _prctl(_PR_CAPBSET_DROP, capability)


def drop_capabilities() -> None:
    """Give up every capability, including those that an execve could bring."""
    drop_bounding_set()
    version_3 = 0x20080522
    # Two halves of (effective, permitted, inheritable), 32 capabilities each, all empty.
    _check(_syscall(_CAPSET, struct.pack("Ii", version_3, 0), bytes(24)), "capset")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter, given as its classic BPF instructions."""
    set_seccomp, mode_filter = 22, 2
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, padding, a pointer to them.
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(instructions))
    buffer = ctypes.create_string_buffer(header, len(header))
    _check(_prctl(set_seccomp, mode_filter, ctypes.addressof(buffer)), "seccomp")
