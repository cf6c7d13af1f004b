"""What one metric has measured of one side, in the forms that statistics take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from qstar_pl.evaluating.records import Column
from qstar_pl.evaluation.metrics import AnswerMetric, Metric, Scores
from qstar_pl.evaluation.metrics.metric import numbers
from qstar_pl.evaluation.metrics.sums import COUNT
from qstar_pl.evaluation.statistics import Statistic

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A metric's row scores of one side, over all prompts."""

    metric: Metric
    columns: Mapping[str, Column]

    @property
    def is_of_means(self) -> bool:
        """Whether each of its numbers is the mean of the row scores of that name."""
        kind = type(self.metric)
        plain = kind.compute is Metric.compute or kind.compute is AnswerMetric.compute
        return plain and not self.metric.all_rows

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Its numbers, by their keys."""
        scores = {name: column.scores() for name, column in self.columns.items()}
        return {key: float(value) for key, value in numbers(self.metric, scores).items()}

    def without(self, key: str) -> int:
        """Return how many rows have nothing to measure for a number: of its own column, else in every column."""
        columns = [self.columns[key]] if key in self.columns else self.columns.values()
        return min(int((~column.mask).sum()) for column in columns)

    @cached_property
    def prompts(self) -> list[int]:
        """The places of the prompts' groups, in order: of the first column, which all have."""
        return next(iter(self.columns.values())).groups

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """[prompts]: whether a prompt has anything that the metric could measure."""
        rows = zip(*(column.rows for column in self.columns.values()), strict=True)
        return np.array([any(value is not None for row in own for value in row) for own in rows], bool)

    @cached_property
    def totals(self) -> Floats:
        """[prompts, width]: what each prompt adds to all sums and counts, end to end; see `statistic`."""
        parts = [_totals(column) for column in self.columns.values()]
        return np.concatenate(parts, axis=1)

    def statistic(self, key: str) -> Statistic:
        """Return the function from the sum of `totals` to the number of a key; NaN where they do not define it."""
        widths = [(name, column.width) for name, column in self.columns.items()]

        def form(totals: Floats) -> float:
            sums: dict[str, torch.Tensor] = {}
            place = 0
            for name, width in widths:
                end = place + max(1, width)
                if totals[end] > 0:  # what no row has added to is absent
                    values = torch.from_numpy(totals[place : end + 1].copy())
                    sums[name] = values[:-1] if width else values[0]
                    sums[name + COUNT] = values[-1]
                place = end + 1
            found = self.metric.compute(sums).get(key)
            return float("nan") if found is None else float(found)

        return form

    def of_prompts(self, chosen: Sequence[int]) -> dict[str, float]:
        """Return the numbers of some prompts, by their places; one that is chosen twice counts twice.

        A choice is kept: the resamples of one number are those of the metric's others.
        """
        drawn = np.asarray(chosen, np.int64)
        known = self._formed.get(drawn.tobytes())
        if known is None:
            found = {}
            for name, (scores, rows) in self._placed.items():
                index = torch.from_numpy(np.concatenate([rows[place] for place in drawn]))
                found[name] = Scores(scores.values[index], scores.mask[index], scores.per)
            known = {key: float(value) for key, value in numbers(self.metric, found).items()}
            self._formed[drawn.tobytes()] = known
        return known

    @cached_property
    def _formed(self) -> dict[bytes, dict[str, float]]:
        return {}

    @cached_property
    def _placed(self) -> dict[str, tuple[Scores, list[NDArray[np.int64]]]]:
        """All rows of each name, and which of them are each prompt's."""
        found = {}
        for name, column in self.columns.items():
            ends = np.cumsum([len(row) for row in column.rows])
            rows = [np.arange(end - len(row), end) for end, row in zip(ends, column.rows, strict=True)]
            found[name] = (column.scores(), rows)
        return found


def _totals(column: Column) -> Floats:
    """Return [prompts, width + 1]: sums over a prompt's rows that count, and how many those are."""
    width = max(1, column.width)
    found = np.zeros((len(column.rows), width + 1))
    for place, row in enumerate(column.rows):
        for value in row:
            if value is not None:
                found[place, :width] += value
                found[place, width] += 1
    return found
