"""A root that holds the standard library and shared libraries, read-only, a few devices and an empty working folder.

Nothing of the machine's files is in it: no home, no project, no data, no /proc. Made once per launcher, in its own
mount namespace; each program then gets a working folder of its own (`mount_work_folder`).
"""

from __future__ import annotations

import os
import sys
import tempfile

from qstar_pl.execution import syscalls

WORK = "/work"
PROGRAM_ID = 1000
"""The user and group id that the program has inside its user namespace."""
_OLD = "/old"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_HIDDEN = ("site-packages", "dist-packages", "python3/dist-packages")


def enter_private_root() -> None:
    """Replace this process's root; it must be in a mount namespace of its own.

    Raises:
        OSError: if the kernel refuses a step (pivot_root cannot leave an initramfs, mount_setattr needs Linux 5.12).

    """
    base = tempfile.gettempdir()
    standard = [path for path in sys.path if os.path.isdir(path)]  # noqa: PTH112
    libraries = _outermost([path for path in [*_LIBRARIES, *standard] if os.path.isdir(path)])  # noqa: PTH112
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", base, "tmpfs", syscalls.MS_NOSUID, "size=1m,mode=755")
    os.chdir(base)
    os.mkdir("old")  # noqa: PTH102 (pathlib is not loaded here)
    syscalls.pivot_root(".", "old")
    os.chdir("/")
    for folder in libraries:
        _show(folder)
    for path in {f"{folder}/{name}" for folder in [*libraries, *standard] for name in _HIDDEN}:
        if os.path.isdir(path):  # noqa: PTH112
            syscalls.mount("tmpfs", path, "tmpfs", syscalls.MS_NOSUID, "size=4k,mode=555")
    for device in _DEVICES:
        _show_device(f"/dev/{device}")
    os.mkdir(WORK)  # noqa: PTH102
    os.symlink(WORK, "/tmp")  # noqa: PTH211
    syscalls.detach(_OLD)
    os.rmdir(_OLD)  # noqa: PTH106
    syscalls.make_read_only("/")


def mount_work_folder(size_mib: int, owner: int) -> None:
    """Mount an empty folder in memory on /work, for `owner` alone, and go there."""
    options = f"size={size_mib}m,nr_inodes=4096,mode=700,uid={owner},gid={owner}"
    syscalls.mount("tmpfs", WORK, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
    os.chdir(WORK)


def _outermost(paths: list[str]) -> list[str]:
    """Return the folders without those inside another one, which are shown with it."""
    kept: list[str] = []
    for path in paths:
        if not any((path + "/").startswith(shown + "/") for shown in kept):
            kept.append(path)
    return kept


def _show(folder: str) -> None:
    if os.path.islink(_OLD + folder):  # noqa: PTH114
        os.symlink(os.readlink(_OLD + folder), folder)  # noqa: PTH115, PTH211
        return
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    syscalls.mount(_OLD + folder, folder, "", syscalls.MS_BIND | syscalls.MS_REC)


def _show_device(path: str) -> None:
    os.makedirs("/dev", exist_ok=True)  # noqa: PTH103
    if os.path.exists(_OLD + path):  # noqa: PTH110
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
        syscalls.mount(_OLD + path, path, "", syscalls.MS_BIND)
