"""Reading a dataset through its adapter, counting what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from qstar_pl.data.reading import Row, Unreadable
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.data.adapters.adapter import Adapter


NAMED = 3
"""How many places are kept of rows that are left out for the same reason."""


@dataclass(frozen=True)
class Source:
    """What is read through one adapter: a dataset, or a part of a mixture."""

    adapter: Adapter
    path: str
    split: str | None
    max_rows: int | None
    name: str | None = None
    """Of the part; None: the only dataset."""
    weight: float | None = None
    """Of the part."""
    held_out: bool = False
    """Whether the part is never trained on."""


@dataclass(frozen=True)
class PartRows:
    """What was read of one part of a mixture."""

    name: str
    """Also in the `metadata["part"]` of the part's examples."""
    read: int
    """Rows seen."""
    weight: float | None
    """Relative share of a training epoch's rows; None in all parts that are trained on: every row once per epoch."""
    held_out: bool = False
    """Whether all of its prompts are for validation and test."""


@dataclass(frozen=True)
class Rows:
    """What an adapter made of a dataset."""

    examples: Sequence[Example]
    read: int
    """Rows seen."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rows left out, per reason."""
    parts: tuple[PartRows, ...] = ()
    """The parts of a mixture; empty for a single dataset."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Of each reason, where its first row stands, and what else is known about that row."""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each reason, where its first `NAMED` rows stand."""
    cache: str | None = None
    """What the cache could not do, for the report."""


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
    # The adapter's own entries win.
    return replace(example, metadata={"source": where, "row": row, **example.metadata})


def place_of(where: str, reason: RowRejected) -> str:
    """Return where a rejected row stands, and what `RowError` says of it beyond the reason that it shares."""
    cause = reason.__cause__
    return str(cause) if isinstance(cause, RowError) and cause.reason not in str(cause) else where


class LeftOut:
    """Counts rows that are left out, and keeps where the first ones stand."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.places: dict[str, tuple[str, ...]] = {}

    def add(self, where: str, reason: RowRejected, part: str | None = None) -> None:
        """Count a row, under its part's name where it has one."""
        name = str(reason) if part is None else f"{part}: {reason}"
        self.counts[name] += 1
        self.first.setdefault(name, place_of(where, reason))
        if len(places := self.places.get(name, ())) < NAMED:
            self.places[name] = (*places, where)


def gather(sources: Sequence[Source], keep: Callable[[int, str, Row, Example], None]) -> Rows:
    """Read all sources, hand each row to `keep` (its source's number, its place, itself, its example), and count.

    Raises:
        UserError: as the adapters do.

    """
    left_out, parts, total = LeftOut(), [], 0
    for number, source in enumerate(sources):
        columns: set[str] = set()
        read = 0
        # `max_rows` bounds the rows that are read, those left out among them.
        for where, row in islice(source.adapter.rows(source.path, source.split), source.max_rows):
            read += 1
            try:
                example = example_of(source, where, row)
            except RowRejected as reason:
                left_out.add(where, reason, source.name)
            else:
                native = example.metadata["row"]
                columns.update(native)
                keep(number, where, native, example)
        source.adapter.check(columns, source.path)
        total += read
        if source.name is not None:
            parts.append(PartRows(source.name, read, source.weight, source.held_out))
    return Rows([], total, left_out.counts, tuple(parts), left_out.first, left_out.places)


def example_of(source: Source, where: str, row: Row | Unreadable) -> Example:
    """Return a row's example (see `convert`), in the part of a mixture if the source is one."""
    example = convert(source.adapter, where, row)
    if source.name is None:
        return example
    return replace(example, metadata={**example.metadata, "part": source.name})


def read_examples(adapter: Adapter, path: str, split: str | None, max_rows: int | None) -> Rows:
    """Read at most `max_rows` rows of a dataset, and keep each native row with its example (see `Adapter`).

    Raises:
        UserError: as the adapter does.

    """
    examples: list[Example] = []
    rows = gather([Source(adapter, path, split, max_rows)], lambda _, __, ___, example: examples.append(example))
    return replace(rows, examples=examples)
