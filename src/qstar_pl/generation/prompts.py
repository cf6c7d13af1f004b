"""From the rows of a dataset to encoded prompts, each with the row that it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from qstar_pl.data.adapters.adapter import Adapter, RowSource
from qstar_pl.data.adapters.auto import Auto
from qstar_pl.data.adapters.prompt_response import PromptResponse
from qstar_pl.data.adapters.rows import Rows, convert, place_of
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.records import PROMPT_CUT, ROW, ROW_INDEX
from qstar_pl.data.selection.left_out import MAX_LEFT_OUT, check_share
from qstar_pl.data.storage.examples import with_system_turn
from qstar_pl.data.text.encoding import Encoded, Encoder
from qstar_pl.errors import UserError
from qstar_pl.hashing import number as hashed_number
from qstar_pl.types import Example


def choose_source(
    path: str, prompt_field: str | None, response_field: str | None, *, deepscaler: bool = False
) -> RowSource:
    """Return what reads the rows if no class is named: by the columns given, else by those that exist.

    With `deepscaler`, the prompt is the column `problem` if no other is given.
    """
    if deepscaler and prompt_field is None:
        prompt_field = "problem"
    if prompt_field is not None:
        return PromptResponse(prompt_field, response_field, answer_required=response_field is not None)
    return TinyWorld() if path == "tiny" else Auto()


@dataclass(frozen=True)
class Prompts:
    """The prompts to answer."""

    encoded: list[Encoded]
    """In the order of the dataset; all keys differ."""
    rejected: Counter[str]
    """Reason → number of rows left out."""
    first: Mapping[str, str]
    """Reason → place of the first such row."""
    repeated: int
    """Number of rows whose prompt occurs earlier in the dataset."""

    @property
    def cut(self) -> int:
        """Number of prompts that lost turns or tokens."""
        return sum(row.prompt_cut for row in self.encoded)


def read_prompts(
    source: RowSource,
    path: str,
    split: str | None,
    encoder: Encoder,
    start: int,
    end: int | None,
    max_left_out: float = MAX_LEFT_OUT,
    system_prompt: str | None = None,
) -> Prompts:
    """Read the rows from `start` up to, not including, `end`; their seeds are those of a run over all rows.

    Dialogues without a system turn get `system_prompt` as one.

    Raises:
        UserError: if the source cannot be read, the range holds no usable row, or a share of more than `max_left_out`
            of its rows is left out.

    """
    source = source.resolve(path, split)
    encoded: list[Encoded] = []
    rejected: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    number = -1
    repeated = 0
    first: dict[str, str] = {}
    # Rows before `start` are read too: how often a prompt occurred before decides its key, and so its seed.
    for number, (where, found) in enumerate(islice(numbered(source, path, split), end)):
        if isinstance(found, RowRejected):
            if number >= start:
                rejected[str(found)] += 1
                first.setdefault(str(found), place_of(where, found))
            continue
        earlier, seen[found.key] = seen[found.key], seen[found.key] + 1
        if number < start:
            continue
        if system_prompt is not None:
            found = with_system_turn(found, system_prompt)
        try:
            encoded.append(_marked(encoder.encode(prepare(found, number, earlier))))
            repeated += earlier > 0
        except RowRejected as reason:
            rejected[str(reason)] += 1
            first.setdefault(str(reason), where)
    if not encoded:
        reasons = "; ".join(f"{count}: {reason}, first {first[reason]}" for reason, count in rejected.items())
        raise UserError(
            f"dataset must have a usable row from start_idx={start} on, got {number + 1} rows in {path}"
            + (f" ({reasons})" if reasons else "")
        )
    check_share(path, Rows([], number + 1 - start, rejected, first=first), max_left_out)
    return Prompts(encoded, rejected, first, repeated)


def numbered(source: RowSource, path: str, split: str | None) -> Iterator[tuple[str, Example | RowRejected]]:
    """Yield each row's place, and its example or why it has none, so that rows keep their numbers."""
    if not isinstance(source, Adapter):  # a mixture, whose rows are numbered as it yields them
        yield from ((one.metadata["source"], one) for one in source.read(path, split, None).examples)
        return
    seen: set[str] = set()
    for where, row in source.rows(path, split):
        try:
            example = convert(source, where, row)
        except RowRejected as reason:
            yield where, reason
        else:
            seen.update(example.metadata[ROW])
            yield where, example
    source.check(seen, path)


def prepare(example: Example, number: int, earlier: int) -> Example:
    """Return the example with its number, without answers, and with another key if its prompt occurred before.

    Args:
        example: as the source made it.
        number: index of its row.
        earlier: number of earlier rows with the same prompt.

    """
    metadata = {**example.metadata, ROW_INDEX: number}
    return replace(example, key=own_key(example.key, earlier), chosen=None, rejected=None, metadata=metadata)


def _marked(prompt: Encoded) -> Encoded:
    """Return the prompt with a note in its example on whether it was cut, since records are made from examples."""
    metadata = {**prompt.example.metadata, PROMPT_CUT: prompt.prompt_cut}
    return replace(prompt, example=replace(prompt.example, metadata=metadata))


def own_key(key: int, earlier: int) -> int:
    """Return `key` for the first row with a prompt, and a different key for each row that repeats it.

    Answers are seeded by keys: without this, a prompt that occurs twice would get the same answers twice.
    """
    if earlier == 0:
        return key
    return hashed_number(f"{key}/{earlier}")
