"""From a dataset's own rows to `Example`s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from qstar_pl.data.reading import Row as Row
from qstar_pl.data.reading import read_rows
from qstar_pl.data.rows import RowRejected as RowRejected
from qstar_pl.data.rows import Rows, read_examples
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example


@dataclass(frozen=True)
class RowSource(ABC):
    """Where examples come from: an `Adapter` of one dataset, or a `Mixture` of several."""

    needs_path: ClassVar[bool] = True
    """Whether `path` says what to read."""

    @abstractmethod
    def read(self, path: str, split: str | None, max_rows: int | None) -> Rows:
        """Read and convert at most `max_rows` rows, counting what is left out.

        Raises:
            UserError: if the path does not exist, a row is malformed, or a needed column is missing.

        """

    @abstractmethod
    def adapter_of(self, example: Example) -> Adapter:
        """Return the adapter that made an example of `read`'s."""

    def named(self, path: str) -> str:
        """Return how reports call these data."""
        return f"{path} ({type(self).__name__})"


@dataclass(frozen=True)
class Adapter(RowSource):
    """Knows one dataset's schema. A dataset of one's own needs a frozen dataclass with `example`, no more.

    What `read` gives holds every row's original fields: `metadata["row"]` is the native row as it was read (the same
    mapping, not a copy; never change it), `metadata["source"]` the file and line, beside what the adapter put there.
    """

    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row]]:
        """Yield (where, row) of the files or of the hub's dataset; `where` names file and line, for error messages.

        See `read_rows` for what can be read.

        Raises:
            UserError: if the path does not exist or a row is malformed.

        """
        return read_rows(path, split)

    def default_reward(self) -> Reward | None:
        """Return the reward that knows these rows, for runs that name none; None: there is no such."""
        return None

    @abstractmethod
    def example(self, row: Row, where: str) -> Example:
        """Convert one row.

        Raises:
            RowRejected: if the row must be counted and left out.
            UserError: if the row lacks a column or has a value of the wrong type.

        """

    def fields(self, row: Row) -> Mapping[str, str]:
        """Return which columns of such a row become what, for people to read: role → columns."""
        return {"row": ", ".join(row)}

    def adapter_of(self, example: Example) -> Adapter:
        """Return this adapter."""
        return self

    def read(self, path: str, split: str | None = None, max_rows: int | None = None) -> Rows:
        """See `RowSource.read`."""
        return read_examples(self, path, split, max_rows)
