"""Taking columns out of a row, with errors that name what is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from qstar_pl.data.reading import Row
from qstar_pl.errors import UserError


def need(row: Row, names: Sequence[str], where: str, adapter: str) -> None:
    """Check that a row has the columns `names`.

    Raises:
        UserError: if a column is missing, naming those that are there.

    """
    if any(name not in row for name in names):
        present = ", ".join(sorted(row)) or "none"
        raise UserError(f"{where}: {adapter} needs the columns {', '.join(names)}; the row has {present}")


def texts(row: Row, names: Sequence[str], where: str, adapter: str) -> list[str]:
    """Return the text columns `names` of a row.

    Raises:
        UserError: if a column is missing (naming those that are there) or does not hold text.

    """
    need(row, names, where, adapter)
    for name in names:
        if not isinstance(row[name], str):
            raise UserError(f"{where}: {name} must be text, got {type(row[name]).__name__}")
    return [row[name] for name in names]


def text_list(value: Any, name: str, where: str) -> list[str]:
    """Return a list of texts.

    Raises:
        UserError: if the value is not a list or holds something other than text.

    """
    if not isinstance(value, list):
        raise UserError(f"{where}: {name} must be a list of texts, got {type(value).__name__}")
    if wrong := [type(item).__name__ for item in value if not isinstance(item, str)]:
        raise UserError(f"{where}: {name} must be a list of texts, got one with {wrong[0]} in it")
    return value


def mapping(value: Any, name: str, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        UserError: if the value is none.

    """
    if not isinstance(value, dict):
        raise UserError(f"{where}: {name} must be an object, got {type(value).__name__}")
    return value


def json_text(text: str, name: str, where: str) -> Any:
    """Return what a column of JSON text says; whole numbers stay text, since some are too long for Python's limit.

    Raises:
        UserError: if it is not JSON.

    """
    try:
        return json.loads(text, parse_int=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: {name} must be JSON text: {error}") from error
