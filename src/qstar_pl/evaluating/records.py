"""Row scores as JSON holds them, and back: what statistics are formed from, without any model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from qstar_pl.evaluation.metrics import Metric, Scores

Kind = TypeVar("Kind", bound=Metric)
Row = list[float | list[float] | None]
"""Of one prompt: what each of its answers adds (or the prompt itself, alone); None: there is nothing to measure."""


def labels_of(metrics: Sequence[Kind]) -> dict[str, Kind]:
    """Return the metrics by their classes' names; a second one of a class is called `Name-2`.

    One that is named twice with the same options is measured once.
    """
    found: dict[str, Kind] = {}
    for metric in metrics:
        if metric in found.values():
            continue
        name = type(metric).__name__
        count = sum(type(one).__name__ == name for one in found.values())
        found[f"{name}-{count + 1}" if count else name] = metric
    return found


def rows_of(scores: Scores, prompts: Sequence[slice]) -> list[Row]:
    """Return row scores prompt by prompt.

    Args:
        scores: of answers or of prompts.
        prompts: the answers of each prompt.

    """
    rows = zip(scores.values.tolist(), scores.mask.tolist(), strict=True)
    values = [_unfilled(row) if counts else None for row, counts in rows]
    places = prompts if scores.per == "answer" else [slice(number, number + 1) for number in range(len(prompts))]
    return [values[place] for place in places]


def _unfilled(row: float | list[float]) -> float | list[float]:
    """Return a row without the NaN that fill it up to the width of the widest."""
    if not isinstance(row, list):
        return row
    last = max((place for place, value in enumerate(row) if not math.isnan(value)), default=-1)
    return row[: last + 1]


def key_of(record: Mapping[str, Any]) -> int:
    """Return the key of a line's prompt, which is written as text: a number in JSON is rounded to 53 bits by many."""
    return int(record["key"])


@dataclass
class Column:
    """The row scores of one name, over all prompts."""

    per: str
    """"answer" or "prompt"."""
    rows: list[Row] = field(default_factory=list)
    """[prompts]."""
    groups: list[int] = field(default_factory=list)
    """[prompts], the prompt's key: rows of the data with the same prompt are not independent."""

    @property
    def width(self) -> int:
        """Numbers of a row; 0 for one number."""
        widths = [len(value) for row in self.rows for value in row if isinstance(value, list)]
        return max(widths, default=0)

    @property
    def values(self) -> NDArray[np.float64]:
        """[rows] or [rows, width]; 0 where the mask is false."""
        width = self.width
        flat = [value for row in self.rows for value in row]
        if not width:
            return np.array([0.0 if value is None else value for value in flat], np.float64)
        # Of a metric whose rows have different widths (a curve's points), the shorter ones end in NaN.
        table = np.zeros((len(flat), width))
        for place, value in enumerate(flat):
            if isinstance(value, list):
                table[place] = value + [np.nan] * (width - len(value))
        return table

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[rows]: whether there is something to measure."""
        return np.array([value is not None for row in self.rows for value in row], bool)

    @property
    def groups_of_rows(self) -> NDArray[np.int64]:
        """[rows]."""
        counts = [len(row) for row in self.rows]
        return np.repeat(np.array(self.groups, np.int64), counts)

    def scores(self) -> Scores:
        """Return the rows as the metric's own form."""
        per: Any = self.per
        return Scores(torch.from_numpy(self.values), torch.from_numpy(self.mask), per)


def columns_of(records: Sequence[Mapping[str, Any]], side: str, label: str) -> dict[str, Column]:
    """Return the row scores of a metric by name, over the prompts that have them.

    Args:
        records: lines of scores.jsonl.
        side: "answers" or "baseline".
        label: of the metric; see `labels_of`.

    """
    found: dict[str, Column] = {}
    for record in records:
        for name, entry in record.get(side, {}).get(label, {}).items():
            column = found.setdefault(name, Column(entry["per"]))
            column.rows.append(entry["scores"])
            column.groups.append(key_of(record))
    return found
