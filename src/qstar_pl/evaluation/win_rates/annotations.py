"""Preferences that a judge gave before: files of AlpacaEval's format, and of ours that have its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError

DRAWS = (0, 1.5)
"""How older and newer files write a draw."""


@dataclass(frozen=True)
class Annotation:
    """One prompt, answered by a model and by the baseline, and which answer was preferred."""

    where: str
    """"file:line"."""
    prompt: str
    model: str
    baseline: str
    preference: float | None
    """In [0, 1]: 1 the model wins, 0.5 a draw, 0 the baseline wins, between them a probability; None: no verdict."""
    length: int
    """Of the model's answer, in characters."""
    baseline_length: int
    """Of the baseline's answer, in characters."""
    number: tuple[int, int] = (0, 0)
    """The prompt's row of the data and the number of its answer, where a file has them (`qstar tournament`'s): a prompt
    may then have several answers."""

    @property
    def place(self) -> tuple[str, tuple[int, int]]:
        """What no other comparison of the same two models has."""
        return self.prompt, self.number


def read_alpaca_annotations(path: Path | str) -> list[Annotation]:
    """Read a file of annotations as alpaca_eval writes them: .json or .jsonl, also gzipped, a row per comparison.

    Args:
        path: rows of instruction, output_1 (the baseline's answer), generator_1, output_2 (the model's), generator_2
            and preference: 1 where the baseline wins, 2 where the model does, 1.5 or 0 for a draw, a number between 1
            and 2 for a probability, none where the judge gave no verdict.

    Raises:
        UserError: naming the file and the row, if a field is missing or of the wrong kind; if there is no row.

    """
    from qstar_pl.data.reading.read import read_rows
    from qstar_pl.data.reading.row import Unreadable

    annotations = []
    for where, row in read_rows(str(path)):
        if isinstance(row, Unreadable):
            raise UserError(f"{where}: {row.reason}")
        annotations.append(_annotation(where, row))
    if not annotations:
        raise UserError(f"annotations must have at least one row, got none in {path}")
    return annotations


def by_pair(annotations: Sequence[Annotation]) -> dict[tuple[str, str], list[Annotation]]:
    """Return (model, baseline) → its rows, in their order.

    Raises:
        UserError: if a prompt is there twice for the same pair: the same file given twice, as a rule.

    """
    pairs: dict[tuple[str, str], dict[Any, Annotation]] = {}
    for one in annotations:
        rows = pairs.setdefault((one.model, one.baseline), {})
        if before := rows.get(one.place):
            raise UserError(
                f"{one.where}: each prompt must be compared once per pair of models, got that of {before.where} again"
            )
        rows[one.place] = one
    return {pair: list(rows.values()) for pair, rows in pairs.items()}


def _annotation(where: str, row: Mapping[str, Any]) -> Annotation:
    def text(name: str) -> str:
        value = row.get(name)
        if not isinstance(value, str):
            raise UserError(f"{where}: {name} must be a text, got {'nothing' if value is None else repr(value)[:80]}")
        return value

    if "preference" not in row:
        raise UserError(f"{where}: preference must be given (none where there is no verdict), got no such field")
    prompt = text("instruction") + (f"\n{row['input']}" if row.get("input") else "")
    baseline, model = text("generator_1"), text("generator_2")
    preference = _preference(where, row["preference"])
    lengths = len(text("output_2")), len(text("output_1"))
    number = tuple(value if isinstance(value := row.get(name), int) else 0 for name in ("row", "answer_idx"))
    return Annotation(where, prompt, model, baseline, preference, *lengths, (number[0], number[1]))


def _preference(where: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where}: preference must be a number or none, got {value!r:.80}")
    if value != value:  # NaN, as pandas writes what is missing
        return None
    if value in DRAWS:
        return 0.5
    if not 1 <= value <= 2:
        raise UserError(f"{where}: preference must be 0 (a draw) or lie in [1, 2], got {value}")
    return float(value) - 1
