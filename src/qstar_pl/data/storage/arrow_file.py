"""Arrow files that are there whole or not at all, are checked before use, and are mapped rather than read.

A file is an Arrow stream of record batches, the facts about it as JSON, the facts' length (8 bytes, big-endian) and a
BLAKE2b digest (16 bytes) of all that. Arrow holds plain columns: reading one runs no code.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow  # type: ignore[import-untyped]
from numpy.typing import NDArray

from qstar_pl.files import plain_mode
from qstar_pl.hashing import hasher

_LENGTH, _DIGEST, _CHUNK = 8, 16, 1 << 22
MAPPED = 1 << 26
"""Files of fewer bytes are read as a whole: a mapped file that somebody shortens in place ends the process."""
UNUSABLE = (OSError, arrow.ArrowException, LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a file that is damaged, forged or not there raises."""


class ArrowFile:
    """A file's batches, mapped: pages come into memory when they are looked at, and leave it when room is needed."""

    def __init__(self, path: Path, schema: arrow.Schema, *, verify: bool = True, vanishes: bool = False) -> None:
        """Open and check a file.

        Args:
            path: of the file.
            schema: that it must have.
            verify: whether the digest is compared; a file written a moment ago does not need it.
            vanishes: whether it is about to lose its name, and is held by being open alone.

        Raises:
            OSError: if it cannot be opened, is not a plain file (a pipe is not waited for), is owned by anyone but this
                user and root, or may be written by everyone.
            ValueError: if it is damaged or has another form; so do Arrow's own exceptions.

        """
        self.path = path
        self._schema = schema
        self._named = None if vanishes else path  # where other processes find the file
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid not in (os.geteuid(), 0) or found.st_mode & stat.S_IWOTH:
                raise PermissionError(f"{path} must be a file that only this user can write")
            body = found.st_size - _LENGTH - _DIGEST
            if body < 0 or (verify and not _whole(descriptor, found.st_size)):
                raise ValueError(f"{path} is damaged")
            self._mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) if found.st_size >= MAPPED else None
            content = self._mapped if self._mapped is not None else os.pread(descriptor, found.st_size, 0)
            self._content = content
        finally:
            os.close(descriptor)
        facts = int.from_bytes(content[body : body + _LENGTH], "big")
        if len(content) < found.st_size or facts > body:  # shortened meanwhile, or a forged length
            raise ValueError(f"{path} is damaged")
        self.facts: dict[str, Any] = json.loads(content[body - facts : body])
        with arrow.ipc.open_stream(arrow.py_buffer(memoryview(content)[: body - facts])) as stream:
            if not stream.schema.equals(schema):
                raise ValueError(f"{path} has another form")
            self.batches: list[Any] = list(stream)
        self._ends = np.cumsum([batch.num_rows for batch in self.batches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def place(self, number: int) -> tuple[Any, int]:
        """Return the batch that holds a row, and the row's place there."""
        batch = int(np.searchsorted(self._ends, number, side="right"))
        return self.batches[batch], number - (int(self._ends[batch - 1]) if batch else 0)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of numbers as a whole, copied."""
        parts = [values_of(batch.column(name)) for batch in self.batches]
        if any(part.dtype == object for part in parts):
            raise ValueError(f"{self.path} has a row without {name}")
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def check(self) -> None:
        """Check that offsets lie within the data.

        Raises:
            ArrowInvalid: if not.

        """
        for batch in self.batches:
            batch.validate(full=True)
            self.forget()

    def forget(self) -> None:
        """Give back the memory of what was looked at; it is read again when it is needed again."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def __reduce__(self) -> tuple[Any, ...]:  # a worker process that is not forked maps the file itself
        if self._named is None:
            self._named = self._copied()
        return _again, (self._named, self._schema)

    def _copied(self) -> Path:
        """Give the file a name again, as a copy that goes with this object or at this process's end."""
        # Only here: a name that is there all along outlives a process that is killed.
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix="unfinished-")
        copy = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._content)
        except BaseException:
            copy.unlink()
            raise
        self.forget()
        weakref.finalize(self, _remove, copy, os.getpid())
        return copy


def values_of(column: arrow.Array) -> NDArray[Any]:
    """Return a column's values, without a copy where it can be; `to_numpy` would import pandas if it is installed."""
    if column.null_count:
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    if arrow.types.is_boolean(column.type):  # bits, which NumPy does not have
        column = column.cast(arrow.uint8())
        return np.from_dlpack(column).astype(bool)
    return np.from_dlpack(column)


def _again(path: Path, schema: arrow.Schema) -> ArrowFile:
    return ArrowFile(path, schema, verify=False)


def _remove(copy: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has the object too, and may end first
        copy.unlink(missing_ok=True)


def _whole(descriptor: int, size: int) -> bool:
    content = hasher(_DIGEST)
    left = size - _DIGEST
    while left > 0 and (chunk := os.read(descriptor, min(_CHUNK, left))):
        content.update(chunk)
        left -= len(chunk)
    return left == 0 and os.read(descriptor, _DIGEST + 1) == content.digest()


class ArrowWriter:
    """Writes a file next to its final place; nothing stays behind unless `finish` is reached."""

    def __init__(self, folder: Path, schema: arrow.Schema) -> None:
        """Begin a file.

        Raises:
            OSError: if the folder or a file in it cannot be made.

        """
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix="unfinished-")
        self._beside = Path(name)
        self._schema = schema
        self._content = hasher(_DIGEST)
        try:
            self._beside.chmod(plain_mode())  # mkstemp's is the owner's alone, and a cache may be shared
            self._file = os.fdopen(handle, "wb")
            self._stream = arrow.ipc.new_stream(arrow.PythonFile(self, mode="w"), schema)
        except BaseException:
            self.abandon()
            raise

    closed = False

    def write(self, data: Any) -> int:
        """Write bytes: what Arrow asks of a file."""
        self._content.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Do nothing: what Arrow asks of a file."""

    def close(self) -> None:
        """Do nothing: what Arrow asks of a file."""

    def rows(self, columns: Mapping[str, Sequence[Any] | arrow.Array]) -> None:
        """Write a batch of rows, column by column."""
        arrays = [
            column if isinstance(column, arrow.Array) else arrow.array(column, field.type)
            for field, column in ((field, columns[field.name]) for field in self._schema)
        ]
        self._stream.write_batch(arrow.record_batch(arrays, schema=self._schema))

    def finish(self, facts: Mapping[str, Any], path: Path | None) -> ArrowFile:
        """Write the facts, put the file in its place, and open it; without a place it vanishes when it is closed.

        Raises:
            OSError: if that fails; nothing is left behind then.

        """
        try:
            self._stream.close()
            text = json.dumps(facts).encode()
            self.write(text + len(text).to_bytes(_LENGTH, "big"))
            self._file.write(self._content.digest())
            self._file.close()
            if path is not None:
                self._beside.replace(path)  # at once: others see the old file or the whole new one
                return ArrowFile(path, self._schema, verify=False)
            return ArrowFile(self._beside, self._schema, verify=False, vanishes=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was written."""
        self._beside.unlink(missing_ok=True)


def lists(rows: Sequence[NDArray[np.int32] | None]) -> arrow.Array:
    """Return rows of token ids as an Arrow list array; None is null."""
    lengths = [0 if row is None else len(row) for row in rows]
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    there = [row for row in rows if row is not None]
    values = np.concatenate(there).astype(np.int32, copy=False) if there else np.zeros(0, np.int32)
    missing = np.asarray([row is None for row in rows], bool)
    return arrow.ListArray.from_arrays(arrow.array(offsets), arrow.array(values), mask=arrow.array(missing))
