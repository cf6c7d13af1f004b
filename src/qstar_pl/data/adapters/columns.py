"""Taking columns out of a row, with errors that name what is there."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from qstar_pl.data.reading import Row
from qstar_pl.data.reading.rejected import RowError


def need(row: Row, names: Sequence[str], where: str, adapter: str) -> None:
    """Check that a row has the columns `names`, null or not.

    Raises:
        RowError: if a column is missing, naming those that are there.

    """
    if missing := [name for name in names if name not in row]:
        present = ", ".join(sorted(row)) or "none"
        message = f"{adapter} needs the columns {', '.join(names)}; the row has {present}"
        raise RowError(where, message, f"the column {missing[0]} is missing")


def as_text(value: Any, name: str, where: str) -> str:
    """Return a text, or a number as it is written.

    Raises:
        RowError: if the value is neither.

    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RowError(where, f"{name} must be text, got {type(value).__name__}")


def texts(row: Row, names: Sequence[str], where: str, adapter: str) -> list[str]:
    """Return the text columns `names` of a row.

    Raises:
        RowError: if a column is missing (naming those that are there) or does not hold text.

    """
    need(row, names, where, adapter)
    for name in names:
        if not isinstance(row[name], str):
            raise RowError(where, f"{name} must be text, got {type(row[name]).__name__}")
    return [row[name] for name in names]


def text_list(value: Any, name: str, where: str) -> list[str]:
    """Return a list of texts.

    Raises:
        RowError: if the value is not a list or holds something other than text.

    """
    if not isinstance(value, list):
        raise RowError(where, f"{name} must be a list of texts, got {type(value).__name__}")
    if wrong := [type(item).__name__ for item in value if not isinstance(item, str)]:
        raise RowError(where, f"{name} must be a list of texts, got one with {wrong[0]} in it")
    return value


def mapping(value: Any, name: str, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        RowError: if the value is none.

    """
    if not isinstance(value, dict):
        raise RowError(where, f"{name} must be an object, got {type(value).__name__}")
    return value


def as_number(value: Any) -> float | None:
    """Return a finite number, also from text, which all cells of a CSV file are; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def number(value: Any, name: str, where: str) -> float:
    """Return a finite number; see `as_number`.

    Raises:
        RowError: if the value is none.

    """
    if (found := as_number(value)) is None:
        raise RowError(where, f"{name} must be a number, got {type(value).__name__}")
    return found


def json_text(text: str, name: str, where: str) -> Any:
    """Return what a column of JSON text says; whole numbers stay text, since some are too long for Python's limit.

    Raises:
        RowError: if it is not JSON.

    """
    try:
        return json.loads(text, parse_int=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RowError(where, f"{name} must be JSON text: {error}", f"{name} must be JSON text") from error
