"""Reads the columns of a parquet file, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstar_pl.errors import UserError

Columns = Mapping[str, NDArray[Any]]
Groups = Mapping[tuple[Any, ...], Columns]
"""Values of the columns that groups are formed by → the other columns of its rows, in their order."""
_TEXTS = ("prompt_text", "completion", "key", "part")
LATER = ("key", "part")
"""Columns of answers that folders of earlier versions lack."""


def grouped(file: Path, by: Sequence[str], columns: Sequence[str]) -> Groups:
    """Return a table's columns as arrays; numbers that are null are NaN, columns of `LATER` that are not there None.

    Args:
        file: parquet.
        by: columns that groups are formed by.
        columns: the others.

    Raises:
        UserError: if it is missing, damaged, or lacks a column.

    """
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        table = parquet.read_table(file)
    except FileNotFoundError as error:
        raise UserError(f"{file} must exist, as `qstar experiment` writes it") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file} must be readable, got a damaged file: {' '.join(str(error).split())}") from error
    for name in set(LATER).intersection(columns).difference(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    missing = [name for name in (*by, *columns) if name not in table.column_names]
    if missing:
        raise UserError(f"{file} must have the columns {', '.join((*by, *columns))}, got none of name {missing[0]}")
    if not table.num_rows:
        return {}
    try:
        names, codes = _codes(table, by)
        values = {name: _array(table, name) for name in columns}
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(f"{file} must hold numbers and texts where they belong, got {error}") from error
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    parts = np.split(order, starts[1:])
    return {names[codes[part[0]]]: {name: column[part] for name, column in values.items()} for part in parts}


def optional(file: Path, by: Sequence[str], columns: Sequence[str]) -> Groups | None:
    """Return the same of a file that need not be there: None then."""
    return grouped(file, by, columns) if file.exists() else None


def _codes(table: Any, by: Sequence[str]) -> tuple[list[tuple[Any, ...]], NDArray[np.intp]]:
    """Return the groups' names, and the number of its group for each row."""
    keys = list(zip(*(table.column(name).to_pylist() for name in by), strict=True))
    numbers: dict[tuple[Any, ...], int] = {}
    codes = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.intp, count=len(keys))
    return list(numbers), codes


def _array(table: Any, name: str) -> NDArray[Any]:
    column = table.column(name)
    if name in _TEXTS:
        return np.array(column.to_pylist(), dtype=object)
    if column.null_count or not str(column.type).startswith(("int", "uint")):
        return np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)
    return np.asarray(column.to_numpy())
