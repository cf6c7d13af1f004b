"""Examples as a sequence: a list of them, or made anew from the rows of a file whenever they are looked at."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import eq
from typing import Any, overload

import numpy as np
import pyarrow as arrow  # type: ignore[import-untyped]
from numpy.typing import NDArray

from qstar_pl.data.adapters.rows import Source, example_of
from qstar_pl.data.storage.arrow_file import ArrowFile
from qstar_pl.hashing import hasher
from qstar_pl.types import Example, Turn

SCHEMA = arrow.schema(
    [
        ("where", arrow.binary()),
        ("row", arrow.binary()),
        ("key", arrow.int64()),
        ("part", arrow.int32()),
        ("answers", arrow.int8()),
    ]
)
"""Of stored rows: place, native row as JSON, `Example.key`, number of the part, and 1 if chosen + 2 if rejected."""


def answers_of(example: Example) -> int:
    """Return which answers there are: 1 for chosen plus 2 for rejected."""
    return (example.chosen is not None) + 2 * (example.rejected is not None)


class TextsDigest:
    """A hash of examples' texts in their order: of all that their token ids depend on."""

    def __init__(self) -> None:
        self._content = hasher(20)

    def add(self, example: Example) -> None:
        """Go on with an example."""
        turns = [(turn.role, turn.content) for turn in example.turns]
        self._content.update(json.dumps([turns, example.chosen, example.rejected]).encode())

    def digest(self) -> bytes:
        """Return the hash of what was added."""
        return self._content.digest()


@dataclass(frozen=True)
class Parts:
    """The part of a mixture that each row belongs to."""

    names: tuple[str, ...]
    number: NDArray[np.int32]
    """[rows] place in `names`; −1 where a row belongs to no part."""

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return for each row whether it belongs to a part."""
        # −2 is no row's number: a part without rows has a mask without a True.
        found: NDArray[np.bool_] = self.number == (self.names.index(name) if name in self.names else -2)
        return found

    def take(self, numbers: NDArray[Any]) -> Parts:
        """Return the parts of some rows."""
        return Parts(self.names, self.number[numbers])


class Examples(Sequence[Example], ABC):
    """What the tokenizer is given."""

    @abstractmethod
    def take(self, numbers: Sequence[int]) -> Examples:
        """Return the examples with these numbers."""

    @abstractmethod
    def with_system(self, text: str) -> Examples:
        """Return all examples, those without a system turn with one."""

    @abstractmethod
    def digest(self) -> bytes:
        """Return a hash of all texts in their order."""

    @abstractmethod
    def answers(self) -> NDArray[np.int8]:
        """Return which answers each example has; see `answers_of`."""

    @abstractmethod
    def keys(self) -> NDArray[np.int64]:
        """Return each example's `key`."""

    @abstractmethod
    def parts(self) -> Parts:
        """Return each example's part of a mixture."""

    @abstractmethod
    def of_each_part(self) -> Iterable[Example]:
        """Return enough examples to meet every part of a mixture that has any."""

    @overload
    def __getitem__(self, number: int) -> Example: ...
    @overload
    def __getitem__(self, number: slice) -> Examples: ...
    def __getitem__(self, number: int | slice) -> Example | Examples:
        """Return one example, or some."""
        if isinstance(number, slice):
            return self.take(range(len(self))[number])
        return self.one(range(len(self))[number])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def one(self, number: int) -> Example:
        """Return one example."""


class ExampleList(Examples):
    """Examples in memory."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self._examples = list(examples)

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples)

    def one(self, number: int) -> Example:
        """See `Examples.one`."""
        return self._examples[number]

    def take(self, numbers: Sequence[int]) -> ExampleList:
        """See `Examples.take`."""
        return ExampleList(self._examples[number] for number in numbers)

    def with_system(self, text: str) -> ExampleList:
        """See `Examples.with_system`."""
        return ExampleList(with_system_turn(example, text) for example in self._examples)

    def digest(self) -> bytes:
        """See `Examples.digest`."""
        content = TextsDigest()
        for example in self._examples:
            content.add(example)
        return content.digest()

    def answers(self) -> NDArray[np.int8]:
        """See `Examples.answers`."""
        return np.asarray([answers_of(example) for example in self._examples], np.int8)

    def keys(self) -> NDArray[np.int64]:
        """See `Examples.keys`."""
        return np.asarray([example.key for example in self._examples], np.int64)

    def parts(self) -> Parts:
        """See `Examples.parts`."""
        of_each = [example.metadata.get("part") for example in self._examples]
        names = tuple(dict.fromkeys(name for name in of_each if name is not None))
        places = {name: place for place, name in enumerate(names)}
        return Parts(names, np.asarray([places.get(name, -1) for name in of_each], np.int32))

    def of_each_part(self) -> Iterable[Example]:
        """See `Examples.of_each_part`; all of them, since a custom source may tell its adapters apart by anything."""
        return self._examples


class StoredExamples(Examples):
    """Examples that are made anew from stored rows whenever they are looked at; none is kept."""

    def __init__(
        self,
        file: ArrowFile,
        sources: Sequence[Source],
        numbers: NDArray[np.int64] | None = None,
        system: str | None = None,
    ) -> None:
        """Look at some rows of a file.

        Args:
            file: of `SCHEMA`, with a hash of all texts among its facts.
            sources: of the rows, to make the examples again.
            numbers: of the rows, all of them if None.
            system: turn for dialogues without one.

        """
        self._file = file
        self._sources = sources
        self._numbers = numbers
        self._system = system

    def __len__(self) -> int:
        return len(self._file) if self._numbers is None else len(self._numbers)

    def __iter__(self) -> Iterator[Example]:
        for number in range(len(self)):
            if number % 10000 == 9999:  # or a pass over the rows would end with the whole file in memory
                self._file.forget()
            yield self.one(number)

    def one(self, number: int) -> Example:
        """See `Examples.one`."""
        batch, at = self._file.place(number if self._numbers is None else int(self._numbers[number]))
        where, row, part = (batch.column(name)[at].as_py() for name in ("where", "row", "part"))
        example = example_of(self._sources[part], where.decode(), json.loads(row))
        return example if self._system is None else with_system_turn(example, self._system)

    def take(self, numbers: Sequence[int]) -> StoredExamples:
        """See `Examples.take`."""
        chosen = np.asarray(numbers, np.int64)
        chosen = chosen if self._numbers is None else self._numbers[chosen]
        return StoredExamples(self._file, self._sources, chosen, self._system)

    def with_system(self, text: str) -> StoredExamples:
        """See `Examples.with_system`."""
        return StoredExamples(self._file, self._sources, self._numbers, text)

    def digest(self) -> bytes:
        """See `Examples.digest`; that of the file is among its facts, and the rest follows from it."""
        content = hasher(20)
        content.update(bytes.fromhex(self._file.facts["digest"]))
        content.update(b"" if self._numbers is None else self._numbers.tobytes())
        content.update(json.dumps(self._system).encode())
        return content.digest()

    def answers(self) -> NDArray[np.int8]:
        """See `Examples.answers`."""
        return self._taken("answers")

    def keys(self) -> NDArray[np.int64]:
        """See `Examples.keys`."""
        return self._taken("key")

    def parts(self) -> Parts:
        """See `Examples.parts`."""
        names = [source.name for source in self._sources]
        if None in names:  # a single dataset, which is no mixture
            return Parts((), np.full(len(self), -1, np.int32))
        return Parts(tuple(map(str, names)), self._taken("part"))

    def of_each_part(self) -> Iterable[Example]:
        """See `Examples.of_each_part`."""
        return [self.one(int(first)) for first in sorted(np.unique(self._taken("part"), return_index=True)[1])]

    def _taken(self, name: str) -> NDArray[Any]:
        column = self._file.column(name)
        return column if self._numbers is None else column[self._numbers]


def as_examples(examples: Sequence[Example]) -> Examples:
    """Return the sequence itself if it is one of these, else a list of the same examples."""
    return examples if isinstance(examples, Examples) else ExampleList(examples)


def with_system_turn(example: Example, text: str) -> Example:
    """Return the example itself if it has a system turn, else with one; its key stays."""
    if example.turns[:1] and example.turns[0].role == "system":
        return example
    return replace(example, turns=(Turn("system", text), *example.turns))
