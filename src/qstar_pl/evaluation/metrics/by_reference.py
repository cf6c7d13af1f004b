"""What metrics that compare each answer with its references have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.scores import Scores

Row = Sequence[float]
"""[width]"""


def by_reference(answers: Answers, measure: Callable[[str, tuple[str, ...]], Row]) -> list[Row | None]:
    """Return what `measure` says of each answer and its references [at least one]; None where there is no reference."""
    pairs = zip(answers.texts, answers.references, strict=True)
    return [measure(answer, references) if references else None for answer, references in pairs]


def columns(rows: Sequence[Row | None], names: Sequence[str]) -> Mapping[str, Scores]:
    """Return the scores [rows] of each name, which are the columns of the rows [rows, names]."""
    return {name: Scores.of([None if row is None else row[place] for row in rows]) for place, name in enumerate(names)}


def counts(rows: Sequence[Row | None], width: int) -> Scores:
    """Return scores [rows, width] from whose sums a number of the whole corpus is formed."""
    mask = torch.tensor([row is not None for row in rows], dtype=torch.bool)
    values = [[0.0] * width if row is None else list(row) for row in rows]
    return Scores(torch.tensor(values, dtype=torch.float64).view(-1, width), mask)
