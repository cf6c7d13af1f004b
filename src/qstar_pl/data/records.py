"""A rollout as rows of text, with what the dataset had beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qstar_pl.data.reading.arrow_rows import plain
from qstar_pl.rollout.diagnostics import row_diagnostics, token_diagnostics
from qstar_pl.types import Example, Rollout

ROW, ROW_INDEX, PROMPT_CUT = "row", "row_idx", "prompt_cut"
"""Where an example's metadata holds the row as the dataset has it, its number, and whether its prompt was cut."""
OWN = ("messages", "sample_idx", "answer_idx", "diagnostics", "tokens")
"""Names that are taken: a dataset's own column of such a name becomes `original_<name>`."""


def make_records(
    rollout: Rollout,
    texts: Sequence[str],
    *,
    samples: int,
    target: bool,
    tokens: bool,
    constants: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return one dictionary per answer: messages, both numbers, the row's own fields, diagnostics, perhaps tokens.

    `sample_idx` is the row of the dataset (None where rows are not counted), `answer_idx` the number of the answer.

    Args:
        rollout: the answers.
        texts: their texts.
        samples: answers per prompt.
        target: whether there is a π_t.
        tokens: whether every token's numbers are kept.
        constants: what stands in the diagnostics of every row.

    """
    rows = row_diagnostics(rollout, samples=samples, target=target, constants=constants)
    per_token = token_diagnostics(rollout, target=target) if tokens else None
    records = []
    for number, text in enumerate(texts):
        example = rollout.prompts.examples[number // samples]
        messages = [{"role": turn.role, "content": turn.content} for turn in example.turns]
        record: dict[str, Any] = {
            "messages": [*messages, {"role": "assistant", "content": text}],
            "sample_idx": example.metadata.get(ROW_INDEX),
            "answer_idx": number % samples,
            **original_fields(example),
            "diagnostics": {
                "sample_idx": example.metadata.get(ROW_INDEX),
                "prompt_cut": example.metadata.get(PROMPT_CUT, False),
                **rows[number],
            },
        }
        if per_token is not None:
            record["tokens"] = per_token[number]
        records.append(record)
    return records


def original_fields(example: Example) -> dict[str, Any]:
    """Return the columns of the row that an example was made of (without it: all metadata)."""
    row = example.metadata.get(ROW)  # put there when rows are read; examples made by hand have none
    fields: Mapping[str, Any] = row if isinstance(row, Mapping) else example.metadata
    return {_free_name(name, fields): value for name, value in fields.items()}


def _free_name(name: str, fields: Mapping[str, Any]) -> str:
    if name not in OWN:
        return name
    name = f"original_{name}"
    while name in fields:  # a dataset that was generated from a generated one has such a column already
        name = f"original_{name}"
    return name


def json_line(value: Mapping[str, Any]) -> bytes:
    """Return one line of JSON in UTF-8; what JSON has no form for becomes its text (dates, bytes) or null (NaN)."""
    try:  # only lines that do hold a NaN are gone through for it
        text = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(plain(dict(value)), ensure_ascii=False, default=str, allow_nan=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and UTF-8 cannot
        return (json.dumps(json.loads(text), ensure_ascii=True) + "\n").encode()
