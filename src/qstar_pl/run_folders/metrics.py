"""Reads metrics.csv, also while a run appends to it, and what a kill or a full disk left of one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from qstar_pl.errors import UserError

NOT_METRICS = ("step", "epoch")
"""Columns that say where a row stands."""
BLOCK = 1 << 16
"""Bytes of the end of a file that are read at first."""
LONGEST_TAIL = 1 << 20
"""Most bytes of its end: metrics that have not been logged for longer are not looked for."""
Row = dict[str, float]
"""The cells of a row that are numbers, by column."""


@dataclass(frozen=True)
class Metrics:
    """Rows of a metrics.csv."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def last(self) -> Row:
        """Return the newest value of every metric in these rows."""
        values = {key: value for row in self.rows for key, value in row.items()}
        return {key: values[key] for key in self.columns if key in values and key not in NOT_METRICS}

    def step(self) -> int | None:
        """Return the highest step of these rows."""
        steps = [row["step"] for row in self.rows if math.isfinite(row.get("step", math.nan))]
        return int(max(steps)) if steps else None


def read_metrics(path: Path) -> Metrics:
    """Return all whole rows of a file.

    Raises:
        UserError: if it cannot be read.

    """
    try:
        header, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    return _metrics(path, header, body)


def read_tail(path: Path, wanted: Collection[str] = ()) -> Metrics:
    """Return the last whole rows of a file: as many as a block holds, and more until every wanted metric is in them.

    Raises:
        UserError: if it cannot be read.

    """
    size = BLOCK
    while True:
        header, body, whole = _tail(path, size)
        metrics = _metrics(path, header, body)
        missing = {key for key in wanted if key in metrics.columns} - set(metrics.last())
        if whole or not missing or size >= LONGEST_TAIL:
            return metrics
        size *= 4


def _tail(path: Path, size: int) -> tuple[bytes, bytes, bool]:
    """Return the header, the lines that begin within the last bytes, and whether those are all lines."""
    try:
        with path.open("rb") as file:
            header = file.readline(LONGEST_TAIL)
            first = file.tell()
            start = max(file.seek(0, io.SEEK_END) - size, first)
            file.seek(start)
            body = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    return header, body if start == first else body.partition(b"\n")[2], start == first


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} must be readable: {error.strerror}")


def _metrics(path: Path, header: bytes, body: bytes) -> Metrics:
    # What follows the last line's end is a row that is being written, or that a kill has cut short.
    lines = body[: body.rfind(b"\n") + 1].decode("utf-8", errors="replace")
    try:
        columns = next(csv.reader([header.decode("utf-8", errors="replace").rstrip("\r\n")]), [])
        return Metrics(tuple(columns), tuple(_rows(columns, lines)))
    except csv.Error as error:
        raise UserError(f"{path} must be a table of metrics, got a damaged file: {error}") from error


def _rows(columns: list[str], lines: str) -> Iterator[Row]:
    for cells in csv.reader(io.StringIO(lines, newline="")):
        row = {
            column: value for column, cell in zip(columns, cells, strict=False) if (value := _number(cell)) is not None
        }
        if row:
            yield row


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:  # an empty cell: not logged in this row
        return None
