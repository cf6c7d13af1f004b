"""Parquet files, and the Arrow files of a folder that `datasets.Dataset.save_to_disk` wrote."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qstar_pl.data.reading.row import Located
from qstar_pl.errors import UserError


def parquet_rows(file: Path) -> Located:
    """Yield the rows of a .parquet file.

    Raises:
        UserError: if it is none.

    """
    import pyarrow as arrow  # type: ignore[import-untyped]  # heavy, and only these files need it
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    try:
        with parquet.ParquetFile(file) as table:
            yield from _rows(table.iter_batches(), file)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: must be a parquet file: {_first_line(error)}") from error


def arrow_rows(file: Path) -> Located:
    """Yield the rows of an .arrow file, a stream or a file of record batches.

    Raises:
        UserError: if it is neither.

    """
    import pyarrow as arrow

    try:
        with arrow.memory_map(str(file)) as source:
            try:  # `datasets` writes streams; the other form has a table of contents at its end
                batches: Any = arrow.ipc.open_stream(source)
            except arrow.ArrowInvalid:
                reader = arrow.ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            yield from _rows(batches, file)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: must be an arrow file: {_first_line(error)}") from error


def _rows(batches: Iterator[Any], file: Path) -> Located:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            yield f"{file}, row {number}", {name: plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN and infinities are null, dates and decimals text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, decimal.Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
