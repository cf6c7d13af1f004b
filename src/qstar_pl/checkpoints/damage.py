"""Whether a checkpoint is what was written."""

from __future__ import annotations

import json
import sys
import zipfile
import zlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from qstar_pl.checkpoints.digest import is_sealed, seal_is_broken, sha256
from qstar_pl.errors import UserError

MANIFEST = "checksums.json"
"""In a folder: size and SHA-256 of every other file, and a CRC of the list. A file bears its own digest (`digest`)."""
SHARDED_METADATA = "meta.pt"
"""Where, in a folder, Lightning's sharding strategies put what is not split over processes."""
_REMEMBERED = 1 << 24
"""Bytes (16 MiB) from which on a file is not read again while its time of change stays. A smaller one could be written
twice within a tick of the file system's clock, which takes milliseconds, and is cheap to read."""


def write_manifest(folder: Path) -> None:
    """Write the checksums of all files in a folder."""
    files = {file.name: [file.stat().st_size, sha256(file)] for file in sorted(folder.iterdir())}
    files.pop(MANIFEST, None)  # of an earlier call
    (folder / MANIFEST).write_text(_manifest(files))


def check_whole(path: Path, argument: str = "ckpt_path", only: Collection[str] | None = None) -> None:
    """Read a checkpoint once from end to end; a second time only if the file has changed since.

    Args:
        path: a file or a folder. What was written by another program, or before there were checksums of the whole, is
            checked as far as possible, and a notice says so.
        argument: the name under which the user gave it.
        only: names of files in a folder to read; None: all.

    Raises:
        UserError: if something in it is not what was written; the message names the newest whole checkpoint beside it.

    """
    if (damage := find_damage(path, only)) is None:
        return
    before = newest_whole(path.parent, other_than=path)
    offer = "there is no other beside it" if before is None else f"the one before it is whole: --{argument} {before}"
    raise UserError(f"{argument} must be a whole checkpoint, got {path}, where {damage}; {offer}")


def find_damage(path: Path, only: Collection[str] | None = None) -> str | None:
    """Return what is wrong with a checkpoint, in a few words; None if nothing is."""
    try:
        if path.is_dir():
            return _damage_of_folder(path, only)
        status = path.stat()
        # `__wrapped__` is the function without its cache.
        known = _damage_of_file if status.st_size >= _REMEMBERED else _damage_of_file.__wrapped__
        return known(path.resolve(), status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        return f"{error.filename or path} cannot be read ({error.strerror or error})"


def newest_whole(folder: Path, other_than: Path) -> Path | None:
    """Return the newest checkpoint in a folder that has no damage."""
    others = [one for one in folder.glob("*.ckpt") if one != other_than]
    for one in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        if find_damage(one) is None:
            return one
    return None


@lru_cache(maxsize=64)
def _damage_of_file(path: Path, size: int, changed_ns: int, inode: int) -> str | None:
    # The arguments beside `path` are the cache's key: a file that has changed is read again.
    if is_sealed(path):
        if not zipfile.is_zipfile(path):
            return "the file cannot be read (it is no archive of torch's, or was cut)"
        return "the file has been changed" if seal_is_broken(path) else None
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()  # the CRC-32 of every part, which is all that an unsealed archive has
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, RuntimeError, ValueError) as error:
        return f"the file cannot be read ({error})"
    if bad is None:
        _say_unsealed(path)
    return None if bad is None else f"{bad} has been changed"


def _damage_of_folder(folder: Path, only: Collection[str] | None) -> str | None:
    manifest = folder / MANIFEST
    if not manifest.exists():
        _say_unsealed(folder)
        return None
    text = manifest.read_bytes()
    try:
        files = json.loads(text)["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"{MANIFEST} cannot be read ({error})"
    if text != _manifest(files).encode():  # written anew from what was read, so any other byte shows
        return f"{MANIFEST} has been changed"
    for name, (size, digest) in files.items():
        file = folder / name
        if only is not None and name not in only:
            continue
        if not file.exists():
            return f"{name} is missing"
        status = file.stat()
        if status.st_size != size:
            return f"{name} has {status.st_size} bytes instead of {size}"
        known = _digest_of if size >= _REMEMBERED else _digest_of.__wrapped__
        if known(file.resolve(), size, status.st_mtime_ns, status.st_ino) != digest:
            return f"{name} has been changed"
    return None


@lru_cache(maxsize=1024)
def _digest_of(file: Path, size: int, changed_ns: int, inode: int) -> str:
    return sha256(file)


def _manifest(files: object) -> str:
    """Return the text of a manifest, with a checksum of its own, in its only valid form."""
    listed = json.dumps(files, sort_keys=True)
    return json.dumps({"files": files, "crc": zlib.crc32(listed.encode())}, sort_keys=True)


@lru_cache(maxsize=256)  # once per path
def _say_unsealed(path: Path) -> None:
    print(
        f"notice: {path} bears no checksum of the whole (an older version, another program, or a Trainer without "
        "qstar_pl.checkpoints.AtomicCheckpointIO among its plugins wrote it); what can be checked of it is right",
        file=sys.stderr,
        flush=True,
    )
