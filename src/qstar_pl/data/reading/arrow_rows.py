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
        UserError: if it is none, or names a column twice.

    """
    import pyarrow as arrow  # type: ignore[import-untyped]  # heavy, and only these files need it
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    try:
        with parquet.ParquetFile(file) as table:
            _check_names(table.schema_arrow, file)
            yield from _rows(table.iter_batches(), file)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: must be a parquet file: {_first_line(error)}") from error


def arrow_rows(file: Path) -> Located:
    """Yield the rows of an .arrow file, a stream or a file of record batches.

    Raises:
        UserError: if it is neither, or names a column twice.

    """
    import pyarrow as arrow

    try:
        with arrow.memory_map(str(file)) as source:
            try:  # `datasets` writes streams; the other form has a table of contents at its end
                reader = batches = arrow.ipc.open_stream(source)
            except arrow.ArrowInvalid:
                reader = arrow.ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            _check_names(reader.schema, file)
            yield from _rows(batches, file)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: must be an arrow file: {_first_line(error)}") from error


def _check_names(schema: Any, file: Path) -> None:
    """Check that no name stands for two columns, nor for two fields of an object: a row has one value for each."""
    for path, names in _named(schema, ""):
        if len(set(names)) < len(names):
            within = f" within {path}" if path else ""
            raise UserError(f"{file}: must name each column{within} once, got {', '.join(names)}")


def _named(parent: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the names in a schema or a type, and in the types below it, with the path of what they belong to."""
    import pyarrow as arrow

    top = isinstance(parent, arrow.Schema)
    if not top and not arrow.types.is_nested(parent):
        return
    fields = [parent.field(number) for number in range(len(parent) if top else parent.num_fields)]
    if top or arrow.types.is_struct(parent):
        yield path, [field.name for field in fields]
    for field in fields:
        yield from _named(field.type, f"{path}.{field.name}" if path else field.name)


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
