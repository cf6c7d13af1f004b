"""Hashes that are the same in every process, on every platform and for every PYTHONHASHSEED."""

from __future__ import annotations

import hashlib
from pathlib import Path


def hasher(size: int = 8) -> hashlib.blake2b:
    """Return an object that takes bytes piece by piece and gives a hash of `size` bytes (BLAKE2b)."""
    return hashlib.blake2b(digest_size=size)


def digest(content: str | bytes, size: int = 8) -> bytes:
    """Return a hash of `size` bytes; text counts as UTF-8, with the lone surrogates that JSON can hold."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.blake2b(data, digest_size=size).digest()


def number(content: str | bytes, bits: int = 63) -> int:
    """Return a hash as a non-negative number: its highest `bits` bits, at most 64; 63 fit into torch's int64."""
    return int.from_bytes(digest(content), "big") >> (64 - bits)


def file_digest(file: Path, size: int = 20) -> str:
    """Return a hash of a file's contents, in hexadecimal digits.

    Raises:
        OSError: if it cannot be read.

    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hasher(size)).hexdigest()
