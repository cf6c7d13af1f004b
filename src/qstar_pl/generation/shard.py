"""Append-only files of finished batches: what survives when a process dies at any moment."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.data.records import json_line
from qstar_pl.errors import UserError
from qstar_pl.generation.plan import Plan

# Windows has no fcntl: there, the user must see that no two runs write to one file.
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None


@dataclass(frozen=True)
class Place:
    """Where a row is stored, in bytes."""

    shard: Path
    offset: int
    length: int


@dataclass(frozen=True)
class Scan:
    """The contents of a shard."""

    batches: Mapping[int, list[tuple[int, Place]]]
    """Complete batch → (row, place) of each of its rows."""
    end: int
    """Bytes up to the end of the last complete batch; what follows was cut short by a kill."""


def scan(path: Path, plan: Plan) -> Scan:
    """Read a shard up to the first line that is broken or the first batch that is incomplete.

    A line is {"batch", "row", "record"}; the rows of a batch are adjacent, in the plan's order.
    """
    batches: dict[int, list[tuple[int, Place]]] = {}
    offset = end = 0
    pending: list[tuple[int, Place]] = []
    with path.open("rb") as file:
        for line in file:
            entry = _parse(line)
            batch = entry.get("batch")
            if not isinstance(batch, int) or not 0 <= batch < len(plan.batches):
                break
            expected = plan.rows_of(batch)
            # A row out of place means that the batch before it is incomplete.
            if len(pending) >= len(expected) or entry.get("row") != expected[len(pending)]:
                break
            pending.append((entry["row"], Place(path, offset, len(line))))
            offset += len(line)
            if len(pending) == len(expected):
                batches.setdefault(batch, pending)  # of a batch that was written twice, the first counts
                pending, end = [], offset
    return Scan(batches, end)


def _parse(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        return {}
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


class Shard:
    """The file that one process appends to, batch by batch.

    A batch is written at once and synced to the disk before the next one. If the write fails, the file is cut back to
    the batches before.
    """

    def __init__(self, path: Path) -> None:
        """Open the file for appending; no other process may have it open.

        Raises:
            UserError: if another process writes to it, or it cannot be opened.

        """
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(f"output: {path} cannot be written: {error.strerror}") from error
        try:
            _lock(self._file, path)
        except UserError:
            os.close(self._file)
            raise
        self._end = os.fstat(self._file).st_size

    def append(self, batch: int, rows: Sequence[int], records: Sequence[Mapping[str, Any]]) -> None:
        """Write a batch and wait until the disk has it.

        Raises:
            OSError: if it cannot be written, e.g. for want of space; the file then holds what it held before.

        """
        entries = zip(rows, records, strict=True)
        data = b"".join(json_line({"batch": batch, "row": row, "record": record}) for row, record in entries)
        try:
            write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # else the next start cuts the end off, see `repair`
                os.ftruncate(self._file, self._end)
            raise
        self._end += len(data)

    def cut(self, end: int) -> None:
        """Remove all bytes from `end` on."""
        if end < self._end:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
            self._end = end

    def close(self) -> None:
        """Close the file, which also releases its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def repair(path: Path, plan: Plan) -> int:
    """Cut an incomplete end off a shard and return the number of bytes removed.

    Raises:
        UserError: if another process writes to it.

    """
    shard = Shard(path)
    try:
        end = scan(path, plan).end
        torn = path.stat().st_size - end
        shard.cut(end)
        return torn
    finally:
        shard.close()


def write_all(file: int, data: bytes) -> None:
    """Write all of `data` to a file descriptor; the system may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _lock(file: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"output: another process still writes to {path}; wait for it (or end it), then run the command again"
        ) from error
    except OSError:
        return  # a file system without locks
