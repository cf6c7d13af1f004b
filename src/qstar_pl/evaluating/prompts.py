"""The rows of the data that are evaluated, and how a prompt in a file of answers is found among them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.adapters.rows import Rows, place_of
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.records import ROW, json_line
from qstar_pl.data.selection.left_out import check_share
from qstar_pl.data.storage.examples import with_system_turn
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.prompts import choose_source, numbered
from qstar_pl.hashing import hasher
from qstar_pl.types import Example, Turn


@dataclass(frozen=True)
class Row:
    """A row of the data."""

    index: int
    """Counted from 0 over all rows of the source, those left out among them, as `qstar generate` counts them."""
    example: Example
    """With its references and tests; rows with the same prompt have the same key."""


class Prompts:
    """Rows in the order of the data."""

    def __init__(
        self,
        name: str,
        adapter: RowSource,
        rows: Sequence[Row],
        others: Sequence[Row],
        left_out: Counter[str],
        digest: str,
    ) -> None:
        """Hold the rows.

        Args:
            name: of the data, for reports.
            adapter: what read them.
            rows: those to evaluate.
            others: those outside the range, which answers may belong to as well.
            left_out: reason → number of rows in the range that cannot be used.
            digest: of all that the rows to evaluate say.

        """
        self.name = name
        self.adapter = adapter
        self.rows = rows
        self.left_out = left_out
        self.digest = digest
        self._all = [*rows, *others]
        self._evaluated = {row.index: row.example for row in rows}
        self._by_text = _index((text, row.index) for row in self._all for text in _texts(row.example))
        self._by_column: dict[str, dict[str, tuple[int, ...]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def first_text(self) -> str:
        """The shortest text by which the first row is found."""
        return min(_texts(self._all[0].example), key=len)

    def evaluated(self, index: int) -> Example | None:
        """Return the example of a row; None of one that is not to be evaluated."""
        return self._evaluated.get(index)

    def with_text(self, prompt: str) -> tuple[int, ...]:
        """Return the rows with this prompt: the user's only turn, or the dialogue in HH-RLHF's form."""
        return self._by_text.get(prompt.strip(), ())

    def with_value(self, column: str, value: Any) -> tuple[int, ...]:
        """Return the rows whose own column of this name has this value; it may be a field of an object in a column."""
        if column not in self._by_column:
            found = ((row.index, _column(row.example, column)) for row in self._all)
            self._by_column[column] = _index((_written(one), index) for index, one in found if one is not None)
        return self._by_column[column].get(_written(value), ())


def same_text(turns: Sequence[Turn]) -> str:
    """Return the text by which `Prompts.with_text` finds a dialogue."""
    return dialogue_prompt(turns).strip()


def read_prompts(data: GenerationData) -> Prompts:
    """Read all rows of a data set, of which those of its range are to be evaluated.

    Raises:
        UserError: if it cannot be read, holds no usable row in the range, or leaves out more than its `max_left_out`.

    """
    wanted = data.adapter or choose_source(data.path, data.prompt_field, data.response_field)
    source = wanted.resolve(data.path, data.split)
    rows, others, left_out, first = list[Row](), list[Row](), Counter[str](), dict[str, str]()
    number = -1
    for number, (where, found) in enumerate(numbered(source, data.path, data.split)):
        inside = data.start_idx <= number and (data.end_idx is None or number < data.end_idx)
        if isinstance(found, RowRejected):
            if inside:
                left_out[str(found)] += 1
                first.setdefault(str(found), place_of(where, found))
            continue
        example = found if data.system_prompt is None else with_system_turn(found, data.system_prompt)
        (rows if inside else others).append(Row(number, example))
    end = number + 1 if data.end_idx is None else min(number + 1, data.end_idx)
    read = max(0, end - data.start_idx)
    if not rows and not left_out:
        raise UserError(
            f"dataset must hold a row from start_idx={data.start_idx} on, got {number + 1} rows in {data.path}"
        )
    check_share(data.path, Rows([], read, left_out, first=first), data.max_left_out)
    return Prompts(source.named(data.path), source, rows, others, left_out, _digest(rows))


def _digest(rows: Iterable[Row]) -> str:
    content = hasher()
    for row in rows:
        example = row.example
        said = [row.index, [(turn.role, turn.content) for turn in example.turns], example.chosen, example.rejected]
        content.update(json.dumps(said).encode())
        content.update(json_line({"row": example.metadata.get(ROW)}))
    return content.hexdigest()


def _texts(example: Example) -> Iterable[str]:
    """Return how a prompt may be written in a file of answers."""
    spoken = [turn for turn in example.turns if turn.role != "system"]
    texts = {same_text(example.turns), same_text(spoken)}
    if len(spoken) == 1:
        texts.add(spoken[0].content.strip())
    return texts


def _column(example: Example, name: str) -> Any:
    """Return what a row of the data has under a name, also within an object (WMT's `translation`); None: nothing."""
    native = example.metadata.get(ROW)
    for columns in (native, example.metadata):
        if isinstance(columns, Mapping):
            if columns.get(name) is not None:
                return columns[name]
            within = [one[name] for one in columns.values() if isinstance(one, Mapping) and one.get(name) is not None]
            if len(within) == 1:
                return within[0]
    return None


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, dict[int, None]] = {}
    for text, index in pairs:
        found.setdefault(text, {})[index] = None
    return {text: tuple(indices) for text, indices in found.items()}


def _written(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
