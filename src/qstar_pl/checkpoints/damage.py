"""Whether a checkpoint is what was written."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

from qstar_pl.errors import UserError

MANIFEST = "checksums.json"
"""In a folder: size and CRC-32 of every other file. A file needs none: torch keeps a CRC-32 of each of its parts."""
SHARDED_METADATA = "meta.pt"
"""Where, in a folder, Lightning's sharding strategies put what is not split over processes."""
_CHUNK = 1 << 24


def write_manifest(folder: Path) -> None:
    """Write the checksums of all files in a folder."""
    sums = {file.name: _sums(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps(sums))


def check_whole(path: Path) -> None:
    """Read a checkpoint once from end to end.

    Raises:
        UserError: if something in it is not what was written; the message names the newest whole checkpoint beside it.

    """
    if (damage := find_damage(path)) is None:
        return
    before = newest_whole(path.parent, other_than=path)
    offer = "there is no other beside it" if before is None else f"the one before it is whole: --ckpt_path {before}"
    raise UserError(f"ckpt_path must be a whole checkpoint, got {path}, where {damage}; {offer}")


def find_damage(path: Path) -> str | None:
    """Return what is wrong with a checkpoint, in a few words; None if nothing is."""
    if path.is_dir():
        return _damage_of_folder(path)
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        return f"the file cannot be read ({error})"
    return None if bad is None else f"{bad} has been changed"


def newest_whole(folder: Path, other_than: Path) -> Path | None:
    """Return the newest checkpoint in a folder that has no damage."""
    others = [one for one in folder.glob("*.ckpt") if one != other_than]
    for one in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        if find_damage(one) is None:
            return one
    return None


def _damage_of_folder(folder: Path) -> str | None:
    manifest = folder / MANIFEST
    if not manifest.exists():
        return None  # written by another program: nothing is known of what it should be
    try:
        sums = json.loads(manifest.read_text())
    except (json.JSONDecodeError, OSError) as error:
        return f"{MANIFEST} cannot be read ({error})"
    for name, (size, checksum) in sums.items():
        file = folder / name
        if not file.exists():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes instead of {size}"
        if _sums(file)[1] != checksum:
            return f"{name} has been changed"
    return None


def _sums(file: Path) -> tuple[int, int]:
    checksum = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return file.stat().st_size, checksum
