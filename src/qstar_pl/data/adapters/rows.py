"""Reading a dataset through its adapter, counting what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from qstar_pl.data.reading import Row, Unreadable
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.data.adapters.adapter import Adapter


@dataclass(frozen=True)
class PartRows:
    """What was read of one part of a mixture."""

    name: str
    """Also in the `metadata["part"]` of the part's examples."""
    read: int
    """Rows seen."""
    weight: float | None
    """Relative share of a training epoch's rows; None in all parts: every row once per epoch."""


@dataclass(frozen=True)
class Rows:
    """What an adapter made of a dataset."""

    examples: list[Example]
    read: int
    """Rows seen."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rows left out, per reason."""
    parts: tuple[PartRows, ...] = ()
    """The parts of a mixture; empty for a single dataset."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Of each reason, where its first row stands, and what more is known of that one."""


def convert(adapter: Adapter, where: str, row: Row | Unreadable) -> Example:
    """Return a row's example, with the native row in its metadata (see `Adapter`).

    Raises:
        RowRejected: if the row is to be counted and left out, whatever is the matter with it.
        UserError: if the adapter's options do not fit the data (its message does not begin with the row's place).

    """
    if isinstance(row, Unreadable):
        raise RowRejected(row.reason)
    try:
        example = adapter.example(row, where)
    except RowError as error:
        raise RowRejected(error.reason) from error
    except UserError as error:
        if not str(error).startswith(f"{where}: "):
            raise  # about the adapter's options, not about the row
        raise RowRejected(str(error).removeprefix(f"{where}: ")) from error
    except RowRejected:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise RowRejected(f"{type(adapter).__name__} failed with {type(error).__name__}: {error}") from error
    return replace(example, metadata={"source": where, "row": row, **example.metadata})


def place_of(where: str, reason: RowRejected) -> str:
    """Return where a rejected row stands, and what `RowError` says of it beyond the reason that it shares."""
    cause = reason.__cause__
    return str(cause) if isinstance(cause, RowError) and cause.reason not in str(cause) else where


def read_examples(adapter: Adapter, path: str, split: str | None, max_rows: int | None) -> Rows:
    """Read at most `max_rows` rows of a dataset, and keep each native row with its example (see `Adapter`).

    Raises:
        UserError: as the adapter does.

    """
    examples: list[Example] = []
    rejected: Counter[str] = Counter()
    first: dict[str, str] = {}
    read = 0
    for where, row in islice(adapter.rows(path, split), max_rows):
        read += 1
        try:
            examples.append(convert(adapter, where, row))
        except RowRejected as reason:
            rejected[str(reason)] += 1
            first.setdefault(str(reason), place_of(where, reason))
    adapter.check({name for example in examples for name in example.metadata["row"]}, path)
    return Rows(examples, read, rejected, first=first)
