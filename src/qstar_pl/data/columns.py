"""Taking columns out of a row, with errors that name what is there."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.data.adapter import Row
from qstar_pl.errors import UserError


def texts(row: Row, names: Sequence[str], where: str, adapter: str) -> list[str]:
    """Return the text columns `names` of a row.

    Raises:
        UserError: if a column is missing (naming those that are there) or does not hold text.

    """
    if any(name not in row for name in names):
        present = ", ".join(sorted(row)) or "none"
        raise UserError(f"{where}: {adapter} needs the columns {', '.join(names)}; the row has {present}")
    for name in names:
        if not isinstance(row[name], str):
            raise UserError(f"{where}: {name} must be text, got {type(row[name]).__name__}")
    return [row[name] for name in names]
