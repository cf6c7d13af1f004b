"""From a dataset's own rows to `Example`s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from qstar_pl.data.adapters.rows import Rows, Source, read_examples
from qstar_pl.data.reading import Row as Row
from qstar_pl.data.reading import Unreadable as Unreadable
from qstar_pl.data.reading import read_rows
from qstar_pl.data.reading.rejected import RowRejected as RowRejected
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.data.adapters.table import Claim, Table
    from qstar_pl.rewards.reward import Reward


@dataclass(frozen=True)
class RowSource(ABC):
    """Where examples come from: an `Adapter` of one dataset, or a `Mixture` of several."""

    needs_path: ClassVar[bool] = True
    """Whether `path` says what to read."""

    @abstractmethod
    def read(self, path: str, split: str | None, max_rows: int | None) -> Rows:
        """Read and convert at most `max_rows` rows, counting what is left out.

        Raises:
            UserError: if the path does not exist, or the adapter's options do not fit the rows.

        """

    @abstractmethod
    def adapter_of(self, example: Example) -> Adapter:
        """Return the adapter that made an example of `read`'s."""

    def sources(self, path: str, split: str | None, max_rows: int | None) -> Sequence[Source] | None:
        """Return what `read` would read, adapter by adapter; None: only `read` knows.

        With it, the rows need not be held in memory.

        Raises:
            UserError: as `read` does where the arguments do not fit.

        """
        return None

    def resolve(self, path: str, split: str | None) -> RowSource:
        """Return what is to read the rows: itself, unless that is still to be detected.

        Raises:
            UserError: if nothing is detected.

        """
        return self

    def part_names(self) -> tuple[str, ...] | None:
        """Return the parts of a mixture, as metrics name them; None: not known before the rows are read."""
        return None

    def named(self, path: str) -> str:
        """Return how reports call these data."""
        return f"{path} ({type(self).__name__})"


@dataclass(frozen=True)
class Adapter(RowSource):
    """Knows one dataset's schema. For a dataset of your own, a frozen dataclass with `example` is enough.

    What `read` gives holds every row's original fields: `metadata["row"]` is the native row as it was read (the same
    mapping, not a copy; never change it), `metadata["source"]` the file and line, beside what the adapter put there.
    """

    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row | Unreadable]]:
        """Yield (where, row) of the files or of the hub's dataset; `where` names file and line, for error messages.

        See `read_rows` for what can be read; a row that cannot be read is `Unreadable`.

        Raises:
            UserError: if the path does not exist or a file is damaged.

        """
        return read_rows(path, split)

    def default_reward(self) -> Reward | None:
        """Return the reward that fits these rows, for runs that name none; None if there is no such reward."""
        return None

    @abstractmethod
    def example(self, row: Row, where: str) -> Example:
        """Convert one row.

        Raises:
            RowRejected: if the row must be counted and left out.
            RowError: the same, if the row lacks a column or has a value of the wrong type.
            UserError: if the adapter's options do not fit; that ends the reading.

        """

    def fields(self, row: Row) -> Mapping[str, str]:
        """Return which columns of such a row become what, for display: role → columns."""
        return {"row": ", ".join(row)}

    def uses(self, row: Row) -> Sequence[str]:
        """Return the columns of such a row that decide what it becomes, or go into its metadata."""
        return list(row)

    def check(self, columns: Collection[str], path: str) -> None:
        """Check the columns of all rows that were used, where a single row cannot tell whether the options fit.

        Raises:
            UserError: if they do not.

        """

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Return how sure this adapter is that it can read such rows, and with which options; None: it cannot."""
        return None

    def resolve(self, path: str, split: str | None) -> Adapter | Self:
        """See `RowSource.resolve`."""
        return self

    def sources(self, path: str, split: str | None, max_rows: int | None) -> Sequence[Source] | None:
        """See `RowSource.sources`; None for an adapter with a `read` of its own, which only that call can honor."""
        return [Source(self, path, split, max_rows)] if type(self).read is Adapter.read else None

    def adapter_of(self, example: Example) -> Adapter:
        """Return this adapter."""
        return self

    def part_names(self) -> tuple[str, ...]:
        """See `RowSource.part_names`; a single dataset has none."""
        return ()

    def read(self, path: str, split: str | None = None, max_rows: int | None = None) -> Rows:
        """See `RowSource.read`."""
        return read_examples(self, path, split, max_rows)
