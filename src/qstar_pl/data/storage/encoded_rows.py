"""Encoded rows as a sequence, with what splits and batches choose by as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from qstar_pl.data.storage.examples import ExampleList, Parts
from qstar_pl.data.text.encoding import Encoded


@dataclass(frozen=True)
class Columns:
    """What splits and batches choose by: one number of each row per column, [rows]."""

    key: NDArray[np.int64]
    """`Example.key`."""
    answers: NDArray[np.int8]
    """1 if there is a chosen answer, plus 2 if there is a rejected one."""
    prompt_cut: NDArray[np.bool_]
    answers_cut: NDArray[np.int64]
    parts: Parts


class EncodedRows(Sequence[Encoded]):
    """Rows, in memory or in a file, of which `take` chooses some without looking at any."""

    def __init__(
        self, fetch: Callable[[int], Encoded], columns: Columns, numbers: NDArray[np.int64] | None = None
    ) -> None:
        """Look at some rows.

        Args:
            fetch: makes the row of a number.
            columns: of all rows that there are.
            numbers: of the rows that this sequence has, all if None.

        """
        self._fetch = fetch
        self._columns = columns
        self._numbers = np.arange(len(columns.key)) if numbers is None else numbers

    @classmethod
    def of(cls, rows: Iterable[Encoded]) -> EncodedRows:
        """Return rows in memory as such a sequence; an `EncodedRows` is returned as it is."""
        if isinstance(rows, EncodedRows):
            return rows
        held = list(rows)
        examples = ExampleList(row.example for row in held)
        columns = Columns(
            examples.keys(),
            np.asarray([(row.chosen is not None) + 2 * (row.rejected is not None) for row in held], np.int8),
            np.asarray([row.prompt_cut for row in held], bool),
            np.asarray([row.answers_cut for row in held], np.int64),
            examples.parts(),
        )
        return cls(partial(_held, held), columns)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, number: int) -> Encoded: ...
    @overload
    def __getitem__(self, number: slice) -> EncodedRows: ...
    def __getitem__(self, number: int | slice) -> Encoded | EncodedRows:
        """Return one row, or some."""
        if isinstance(number, slice):
            return self.take(np.arange(len(self))[number])
        return self._fetch(int(self._numbers[number]))

    def __iter__(self) -> Iterator[Encoded]:
        return map(self._fetch, self._numbers.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_is, self, other))

    __hash__ = None  # type: ignore[assignment]

    def take(self, numbers: Any) -> EncodedRows:
        """Return the rows with these numbers in this sequence, or those where a mask is true."""
        return EncodedRows(self._fetch, self._columns, self._numbers[numbers])

    @property
    def keys(self) -> NDArray[np.int64]:
        """[rows] `Example.key`."""
        return self._columns.key[self._numbers]

    @property
    def has_chosen(self) -> NDArray[np.bool_]:
        """[rows] Whether there is an answer."""
        return (self._columns.answers[self._numbers] & 1) > 0

    @property
    def has_rejected(self) -> NDArray[np.bool_]:
        """[rows] Whether there is an answer that lost."""
        return (self._columns.answers[self._numbers] & 2) > 0

    @property
    def prompts_cut(self) -> int:
        """How many rows' prompts lost turns or tokens."""
        return int(self._columns.prompt_cut[self._numbers].sum())

    @property
    def answers_cut(self) -> int:
        """How many answers were cut."""
        return int(self._columns.answers_cut[self._numbers].sum())

    def of_part(self, name: str) -> NDArray[np.int64]:
        """Return which rows belong to a part of a mixture."""
        return np.flatnonzero(self._columns.parts.mask(name)[self._numbers])

    def with_prompts_of(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Return for each row whether its prompt stands in one of these parts of a mixture."""
        found = [self.keys[self.of_part(name)] for name in names]
        return np.isin(self.keys, np.concatenate(found)) if found else np.zeros(len(self), bool)


# Not a lambda: worker processes may get the rows pickled.
def _held(rows: Sequence[Encoded], number: int) -> Encoded:
    return rows[number]


def _is(one: Any, other: Any) -> bool:
    return one is other
