"""Token ids on disk, under a name that follows from all that they depend on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow  # type: ignore[import-untyped]
from numpy.typing import NDArray

from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.storage.arrow_file import UNUSABLE, ArrowFile, ArrowWriter, lists, values_of
from qstar_pl.data.storage.encoded_rows import Columns, EncodedRows
from qstar_pl.data.storage.examples import Examples
from qstar_pl.data.text.chat import Dialogues
from qstar_pl.data.text.encoding import Encoded, Encoder, Ids
from qstar_pl.types import Example

TEXTS = ("prompt", "chosen", "rejected")
SCHEMA = arrow.schema(
    [
        ("example", arrow.int64()),
        ("prompt_cut", arrow.bool_()),
        ("answers_cut", arrow.int8()),
        *((name, arrow.list_(arrow.int32())) for name in TEXTS),
    ]
)
"""Of token ids: the example's number, what was cut, the ids."""
_BATCH = 1000


@dataclass(frozen=True)
class Tokenized:
    """What became of the examples."""

    rows: EncodedRows
    rejected: Counter[str]
    """Examples left out, per reason."""
    dialogues: Dialogues = field(default_factory=Dialogues)
    """Of the rows."""
    cache: str | None = None
    """What was done with the cache, for the report; None if it was left alone."""
    numbers: NDArray[np.int64] | None = None
    """[rows] number of each row's example, ascending, where the rows are a file's."""


def encoded(encoder: Encoder, examples: Iterable[Example], rejected: Counter[str]) -> Iterator[tuple[int, Encoded]]:
    """Yield each example's number and row, and count those that the encoder leaves out, per reason."""
    for number, example in enumerate(examples):
        try:
            yield number, encoder.encode(example)
        except RowRejected as reason:
            rejected[str(reason)] += 1


def write_tokens(file: Path, encoder: Encoder, examples: Examples) -> Tokenized:
    """Tokenize all examples into a file, and map it.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.

    """
    writer = ArrowWriter(file.parent, SCHEMA)
    rejected, dialogues = Counter[str](), Dialogues()
    batch: list[tuple[int, Encoded]] = []
    try:
        for number, row in encoded(encoder, examples, rejected):
            dialogues.add(row.example.turns)
            batch.append((number, row))
            if len(batch) == _BATCH:
                writer.rows(_columns(batch))
                batch.clear()
        writer.rows(_columns(batch))
        facts = {"rejected": rejected, "dialogues": asdict(dialogues)}
        return _tokenized(writer.finish(facts, file), examples)
    finally:
        writer.abandon()


def load_tokens(file: Path, examples: Examples) -> Tokenized | None:
    """Return the rows and what was left out.

    None if the file is not there or not readable, is not a plain file (a pipe would keep it waiting), belongs to or
    may be written by someone else, is damaged, or holds something else than these examples' rows.
    """
    try:
        opened = ArrowFile(file, SCHEMA)
        opened.check()
        found = _tokenized(opened, examples)
        return found if _fits(opened, found, examples) else None
    except UNUSABLE:
        return None


def _columns(batch: list[tuple[int, Encoded]]) -> dict[str, Any]:
    rows = [row for _, row in batch]
    return {
        "example": [number for number, _ in batch],
        "prompt_cut": [row.prompt_cut for row in rows],
        "answers_cut": [row.answers_cut for row in rows],
        **{name: lists([getattr(row, name) for row in rows]) for name in TEXTS},
    }


def _tokenized(opened: ArrowFile, examples: Examples) -> Tokenized:
    facts = opened.facts
    rejected = Counter({str(reason): int(count) for reason, count in facts["rejected"].items()})
    numbers = opened.column("example")
    columns = Columns(
        key=examples.keys()[numbers],
        answers=examples.answers()[numbers],
        prompt_cut=opened.column("prompt_cut").astype(bool),
        answers_cut=opened.column("answers_cut").astype(np.int64),
        parts=examples.parts().take(numbers),
    )
    rows = EncodedRows(partial(_fetch, opened, examples), columns)
    return Tokenized(rows, rejected, Dialogues(**facts["dialogues"]), numbers=numbers)


def _fetch(opened: ArrowFile, examples: Examples, number: int) -> Encoded:
    batch, at = opened.place(number)
    prompt, chosen, rejected = (_ids(batch.column(name), at) for name in TEXTS)
    assert prompt is not None, "every row has a prompt"
    facts = (batch.column(name)[at].as_py() for name in ("prompt_cut", "answers_cut"))
    return Encoded(examples[batch.column("example")[at].as_py()], prompt, chosen, rejected, *facts)


def _ids(column: Any, at: int) -> Ids | None:
    found = column[at].values
    return None if found is None else values_of(found)  # a view of the file's data, not a copy


def _fits(opened: ArrowFile, found: Tokenized, examples: Examples) -> bool:
    """Return whether a file can be these examples' rows, each example being a row or left out."""
    # The digest vouches for bytes, not for their meaning: what passes here must not fail or index beyond an end later.
    numbers, count = opened.column("example"), len(opened)
    if count + found.rejected.total() != len(examples) or any(left < 0 for left in found.rejected.values()):
        return False
    if count and not (numbers[0] >= 0 and numbers[-1] < len(examples) and bool((np.diff(numbers) > 0).all())):
        return False
    there = examples.answers()[numbers]
    start = 0
    for batch in opened.batches:
        answers = there[start : start + batch.num_rows]
        start += batch.num_rows
        expected = (np.ones(batch.num_rows, bool), (answers & 1) > 0, (answers & 2) > 0)
        for name, wanted in zip(TEXTS, expected, strict=True):
            column = batch.column(name)
            ids = values_of(column.values)
            if ids.dtype != np.int32 or (len(ids) and int(ids.min()) < 0):
                return False
            if not np.array_equal(values_of(column.is_valid()), wanted):
                return False
        opened.forget()
    return True
