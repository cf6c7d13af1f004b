"""From a dataset's own rows to `Example`s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qstar_pl.types import Example

Row = Mapping[str, Any]


class RowRejected(Exception):  # noqa: N818 (not an error: a row that is counted and left out)
    """A row that must not be used; the message is the reason under which it is counted, the same for all such rows."""


@dataclass(frozen=True)
class Adapter(ABC):
    """Knows one dataset's schema."""

    @abstractmethod
    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row]]:
        """Yield (where, row); `where` names file and line, for error messages.

        Raises:
            UserError: if the path does not exist, a row is malformed, or a needed column is missing.

        """

    @abstractmethod
    def example(self, row: Row, where: str) -> Example:
        """Convert one row.

        Raises:
            RowRejected: if the row must be counted and left out.
            UserError: if the row lacks a column or has a value of the wrong type.

        """
