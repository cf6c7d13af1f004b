"""A SHA-256 over every byte of a checkpoint's file, kept in the file itself.

Torch writes a zip archive, whose parts have a CRC-32 each; the names, places and lengths in it have none. The archive's
comment, which torch and other readers of zip skip, holds a digest of everything before it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

_MARK = b"qstar sha256 "
_LENGTH = len(_MARK) + 2 * hashlib.sha256().digest_size
_END = b"PK\x05\x06"
"""Begins the archive's last record: 22 bytes without a comment, of which the last two are the comment's length."""
_CHUNK = 1 << 24


def seal(file: Path) -> None:
    """Add the digest to an archive without a comment, in place."""
    with file.open("r+b") as stream:
        stream.seek(-22, os.SEEK_END)
        end = stream.read()
        assert end.startswith(_END), "torch writes archives without a comment"
        stream.seek(-2, os.SEEK_END)
        stream.write(_LENGTH.to_bytes(2, "little"))
        stream.flush()  # the digest covers the length, and is computed from the file
        stream.write(_MARK + sha256(file).encode())


def is_sealed(file: Path) -> bool:
    """Return whether a file does not end as a plain archive does, so that it must have been sealed, or is damaged."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 22))
        end = stream.read()
    return not (end[:4] == _END and end[-2:] == b"\0\0")


def seal_is_broken(file: Path) -> bool:
    """Return whether a sealed file is not what was sealed."""
    size = file.stat().st_size
    if size < _LENGTH:  # too short to hold a digest
        return True
    with file.open("rb") as stream:
        stream.seek(size - _LENGTH)
        comment = stream.read()
    return not hmac.compare_digest(comment, _MARK + sha256(file, size - _LENGTH).encode())


def sha256(file: Path, count: int | None = None) -> str:
    """Return the digest of a file's first `count` bytes (None: of all)."""
    # In chunks of 16 MiB: a checkpoint need not fit into memory.
    digest, left = hashlib.sha256(), file.stat().st_size if count is None else count
    with file.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
