"""Answers that are texts alone, and their metrics, as batches and as a whole."""

from collections.abc import Sequence
from typing import Any

from reference.text_answers import measured

from qstar_pl.evaluation.metrics import Answers, Metric
from qstar_pl.types import Example, Turn

numbers = measured
"""What a metric makes of batches, whose sums are added up."""


def answers(texts: Sequence[str], references: Sequence[Sequence[str]], **metadata: Any) -> Answers:
    """Each text with its references; those with equal references, side by side, answer one prompt."""
    keys = {tuple(one): number for number, one in enumerate(map(tuple, references))}
    examples = [
        Example(keys[tuple(one)], (Turn("user", "?"),), metadata={"answers": list(one), **metadata})
        for one in references
    ]
    return Answers(None, list(texts), examples=examples)


def part(whole: Answers, rows: slice) -> Answers:
    """Some rows."""
    return Answers(None, whole.texts[rows], examples=whole.examples[rows])


def rows_of(metric: Metric, whole: Answers) -> dict[str, list[float | None]]:
    """Each row's score, None where it is masked."""
    return {
        name: [value if kept else None for value, kept in zip(one.values.tolist(), one.mask.tolist(), strict=True)]
        for name, one in metric.scores(whole).items()
    }
