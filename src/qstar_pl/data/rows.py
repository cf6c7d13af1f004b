"""Reading a dataset through its adapter, counting what is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.data.adapters.adapter import Adapter


class RowRejected(Exception):  # noqa: N818 (not an error: a row that is counted and left out)
    """A row that must not be used; the message is the reason under which it is counted, the same for all such rows."""


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


def read_examples(adapter: Adapter, path: str, split: str | None, max_rows: int | None) -> Rows:
    """Read at most `max_rows` rows of a dataset, and keep each native row with its example (see `Adapter`).

    Raises:
        UserError: as the adapter does.

    """
    examples: list[Example] = []
    rejected: Counter[str] = Counter()
    read = 0
    for where, row in islice(adapter.rows(path, split), max_rows):
        read += 1
        try:
            example = adapter.example(row, where)
        except RowRejected as reason:
            rejected[str(reason)] += 1
        else:
            examples.append(replace(example, metadata={"source": where, "row": row, **example.metadata}))
    return Rows(examples, read, rejected)
