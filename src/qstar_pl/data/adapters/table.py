"""What detection looks at: the columns of a sample of rows, and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.dialogue import is_dialogue
from qstar_pl.data.reading import Row

if TYPE_CHECKING:
    from qstar_pl.data.adapters.adapter import Adapter


class Kind(Enum):
    """What a cell holds."""

    TEXT = "text"
    DIALOGUE = "messages"
    NUMBER = "numbers"
    FLAG = "true and false"
    LIST = "lists"
    OBJECT = "objects"


class Confidence(IntEnum):
    """How sure an adapter is that a table is its own; the surest reads it."""

    PROMPTS = 1
    """There is a column of prompts."""
    ANSWERS = 2
    """There are prompts and answers under usual names."""
    DIALOGUES = 3
    """There are whole dialogues."""
    IMPLICIT_PAIRS = 4
    """There are better and worse texts, whose common beginning is the prompt."""
    PAIRS = 5
    """There are better and worse answers under usual names."""
    WHOLE_PAIRS = 6
    """There are better and worse dialogues, which hold their prompts."""
    DATASET = 7
    """The columns, and what they hold, are those of one published schema."""


@dataclass(frozen=True)
class Claim:
    """An adapter's word that it can read a table."""

    confidence: Confidence
    adapter: Adapter
    """With its options as the columns ask for."""
    remarks: tuple[str, ...] = ()
    """What could be chosen otherwise, one line each."""


def kind(value: Any) -> Kind | None:
    """Return what a value is, None for null and for what is empty."""
    if isinstance(value, bool):  # first, since a bool is an int
        return Kind.FLAG
    if isinstance(value, int | float):
        return Kind.NUMBER
    if value is None or not value:
        return None
    if is_dialogue(value):
        return Kind.DIALOGUE
    if isinstance(value, str):
        return Kind.TEXT
    return Kind.OBJECT if isinstance(value, Mapping) else Kind.LIST


class Table:
    """A sample of a dataset's rows, looked at by column."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(name for row in self.rows for name in row))
        self._kinds: dict[str, Kind | None] = {}

    def values(self, name: str) -> list[Any]:
        """Return the cells of a column that hold something, of rows from everywhere in the sample."""
        return [value for row in self.rows if kind(value := row.get(name)) is not None]

    def where(self, name: str) -> Table:
        """Return the rows that have something in a column."""
        return Table(row for row in self.rows if kind(row.get(name)) is not None)

    def kind(self, name: str) -> Kind | None:
        """Return what most cells of a column are; None where there is no column, or nothing in it."""
        if name not in self._kinds:
            found = Counter(kind(row.get(name)) for row in self.rows)
            found.pop(None, None)  # null and empty cells have no say
            self._kinds[name] = max(found, key=lambda key: found[key]) if found else None
        return self._kinds[name]

    def holds(self, *kinds: Kind, of: Iterable[str]) -> bool:
        """Tell whether each of the columns holds one of the kinds (any kind if none is given)."""
        return all(self.kind(name) in kinds if kinds else self.kind(name) is not None for name in of)

    def first(self, names: Iterable[str], *kinds: Kind) -> str | None:
        """Return the first of the columns that holds one of the kinds."""
        return next((name for name in names if self.holds(*kinds, of=(name,))), None)

    def may_hold(self, name: str, kind: Kind) -> bool:
        """Tell whether a column is there and holds nothing else; what is empty in the sample may be filled later."""
        return name in self.columns and self.kind(name) in (kind, None)

    def share(self, name: str, matches: Callable[[Any], object], *kinds: Kind) -> float:
        """Return of how much of a column's cells `matches(cell)` is true; 0 for an empty column.

        Cells of other kinds than these (if any are given) do not match, and `matches` does not see them.
        """
        values = self.values(name)
        seen = [value for value in values if not kinds or kind(value) in kinds]
        return sum(bool(matches(value)) for value in seen) / len(values) if values else 0.0

    def typical(self) -> Row:
        """Return a cell of each column as most of its cells are: of that kind, and objects with those keys."""
        found = {}
        for name in self.columns:
            values = self.values(name) or [row[name] for row in self.rows if name in row]
            shapes = [_shape(value) for value in values]
            found[name] = values[shapes.index(Counter(shapes).most_common(1)[0][0])]
        return found


def _shape(value: Any) -> tuple[Kind | None, frozenset[str]]:
    return kind(value), frozenset(value if isinstance(value, Mapping) else ())
