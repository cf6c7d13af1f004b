"""A root that holds the standard library and shared libraries, read-only, a few devices and an empty working folder.

Nothing of the machine's files is in it: no home, no project, no data, no /proc. Made once per launcher, in its own
mount namespace; each program then gets a working folder of its own (`mount_work_folder`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache

from qstar_pl.sandbox import syscalls

WORK = "/work"
_TEMPORARY = "/tmp"  # nosec B108 - the guest's own
_KEPT = "/libraries"
"""Where libraries that lie below a folder of the program's own are mounted a second time."""
_OWN = "/own"
_SHARED_MEMORY = "/dev/shm"  # nosec B108 - the guest's own
_SHARED_MEMORY_MIB = 16
PROGRAM_ID = 1000
"""The user and group id that the program has inside its user namespace."""
_OLD = "/old"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_DEVICES = ("null", "zero", "full", "random", "urandom")
# The last one is Debian's.
_HIDDEN = ("site-packages", "dist-packages", "python3/dist-packages")


def enter_private_root() -> None:
    """Replace this process's root; it must be in a mount namespace of its own.

    Raises:
        OSError: if the kernel refuses a step (pivot_root cannot leave an initramfs, mount_setattr needs Linux 5.12).

    """
    base = tempfile.gettempdir()
    libraries, standard = _libraries(), [path for path in sys.path if os.path.isdir(path)]  # noqa: PTH112
    # Private, so that no mount made here shows outside; then a file system in memory becomes the root, and the former
    # one lies at /old, from where folders are mounted, until it is detached.
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", base, "tmpfs", syscalls.MS_NOSUID, "size=1m,mode=755")
    os.chdir(base)
    os.mkdir("old")  # noqa: PTH102 (pathlib is not loaded here)
    syscalls.pivot_root(".", "old")
    os.chdir("/")
    for folder in libraries:
        _show(folder)
    # Installed packages lie below the standard library: an empty folder is mounted over each place.
    for path in {f"{folder}/{name}" for folder in [*libraries, *standard] for name in _HIDDEN}:
        if os.path.isdir(path):  # noqa: PTH112
            syscalls.mount("tmpfs", path, "tmpfs", syscalls.MS_NOSUID, "size=4k,mode=555")
    for device in _DEVICES:
        _show_device(f"/dev/{device}")
    # Mount points for `mount_work_folder`: none can be made once the root is read-only.
    os.makedirs(_SHARED_MEMORY)  # noqa: PTH103
    os.makedirs(WORK, exist_ok=True)  # noqa: PTH103
    if _below_own_folders():
        os.makedirs(_TEMPORARY, exist_ok=True)  # noqa: PTH103
        os.mkdir(_OWN)  # noqa: PTH102
        for kept, folder in _below_own_folders():
            os.makedirs(kept)  # noqa: PTH103
            syscalls.mount(folder, kept, "", syscalls.MS_BIND | syscalls.MS_REC)
    else:
        os.symlink(WORK, _TEMPORARY)  # noqa: PTH211
    syscalls.detach(_OLD)
    os.rmdir(_OLD)  # noqa: PTH106
    syscalls.make_read_only("/")


def mount_work_folder(size_mib: int, owner: int, *, shared_memory: bool) -> None:
    """Mount an empty folder in memory on /work, for `owner` alone, and go there; /tmp is the same one.

    Where Python itself lies below one of them, they are two folders of one file system, and the libraries stand in
    their place among what the program writes. With `shared_memory`, /dev/shm is there, which pools of processes need.
    """
    # tmpfs's size counts the pages of files; their number needs a bound of its own.
    mine = f"nr_inodes=4096,mode=700,uid={owner},gid={owner}"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    if shared_memory:
        syscalls.mount("tmpfs", _SHARED_MEMORY, "tmpfs", flags, f"size={min(size_mib, _SHARED_MEMORY_MIB)}m,{mine}")
    if not _below_own_folders():
        syscalls.mount("tmpfs", WORK, "tmpfs", flags, f"size={size_mib}m,{mine}")
    else:
        syscalls.mount("tmpfs", _OWN, "tmpfs", flags, f"size={size_mib}m,{mine}")
        for folder in (WORK, _TEMPORARY):
            os.mkdir(_OWN + folder, 0o700)  # noqa: PTH102
            os.chown(_OWN + folder, owner, owner)
            syscalls.mount(_OWN + folder, folder, "", syscalls.MS_BIND)
        syscalls.detach(_OWN)
        for kept, folder in _below_own_folders():
            os.makedirs(folder)  # noqa: PTH103
            syscalls.mount(kept, folder, "", syscalls.MS_BIND | syscalls.MS_REC)
    os.chdir(WORK)


@cache
def _libraries() -> list[str]:
    """Return the folders to show; first called before the root is replaced, and cached since."""
    return _outermost([path for path in [*_LIBRARIES, *sys.path] if os.path.isdir(path)])  # noqa: PTH112


@cache
def _below_own_folders() -> list[tuple[str, str]]:
    """Return (second place, place) of each folder of libraries that is inside a folder of the program's own."""
    covered = [path for path in _libraries() if (path + "/").startswith((WORK + "/", _TEMPORARY + "/"))]
    return [(f"{_KEPT}/{number}", path) for number, path in enumerate(covered)]


def _outermost(paths: list[str]) -> list[str]:
    """Return the folders without those inside another one, which are shown with it."""
    kept: list[str] = []
    for path in paths:
        if not any((path + "/").startswith(shown + "/") for shown in kept):
            kept.append(path)
    return kept


def _show(folder: str) -> None:
    if os.path.islink(_OLD + folder):  # noqa: PTH114
        # /lib is usr/lib on most distributions.
        os.symlink(os.readlink(_OLD + folder), folder)  # noqa: PTH115, PTH211
        return
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    syscalls.mount(_OLD + folder, folder, "", syscalls.MS_BIND | syscalls.MS_REC)


def _show_device(path: str) -> None:
    os.makedirs("/dev", exist_ok=True)  # noqa: PTH103
    if os.path.exists(_OLD + path):  # noqa: PTH110
        # A file can be mounted on a file only.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
        syscalls.mount(_OLD + path, path, "", syscalls.MS_BIND)
