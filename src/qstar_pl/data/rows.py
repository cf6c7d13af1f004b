"""Reading a dataset through its adapter, counting what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from qstar_pl.data.adapter import Adapter, RowRejected
from qstar_pl.data.encoding import Encoded, Encoder
from qstar_pl.types import Example


@dataclass(frozen=True)
class Rows:
    """What an adapter made of a dataset."""

    examples: list[Example]
    read: int
    """Rows seen."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rows left out, per reason."""


def read_examples(adapter: Adapter, path: str, split: str | None, max_rows: int | None) -> Rows:
    """Read at most `max_rows` rows of a dataset.

    Raises:
        UserError: as the adapter does.

    """
    examples: list[Example] = []
    rejected: Counter[str] = Counter()
    read = 0
    for where, row in islice(adapter.rows(path, split), max_rows):
        read += 1
        try:
            examples.append(adapter.example(row, where))
        except RowRejected as reason:
            rejected[str(reason)] += 1
    return Rows(examples, read, rejected)


def encode_all(encoder: Encoder, examples: Iterable[Example]) -> tuple[list[Encoded], Counter[str]]:
    """Tokenise all examples once, and count those that the encoder leaves out, per reason."""
    encoded: list[Encoded] = []
    rejected: Counter[str] = Counter()
    for example in examples:
        try:
            encoded.append(encoder.encode(example))
        except RowRejected as reason:
            rejected[str(reason)] += 1
    return encoded, rejected
