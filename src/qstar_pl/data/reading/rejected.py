"""Rows that are counted and left out."""

from __future__ import annotations

from qstar_pl.errors import UserError


class RowRejected(Exception):  # noqa: N818 (not an error: a row that is counted and left out)
    """A row that must not be used; the message is the reason that it is counted under, the same for all such rows."""


class RowError(UserError):
    """A row that does not fit its adapter: a missing column, a value of the wrong type. Counted and left out as well.

    Its message names the place and all that is known; `reason` is what all such rows share.
    """

    def __init__(self, where: str, message: str, reason: str | None = None) -> None:
        super().__init__(f"{where}: {message}")
        self.reason = message if reason is None else reason
