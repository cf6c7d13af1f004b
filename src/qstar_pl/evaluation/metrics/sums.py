"""The sums that a metric is computed from: unlike ratios, they add up over batches and ranks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qstar_pl.evaluation.metrics.scores import Scores

Sums = Mapping[str, Tensor]
"""Name → [] or [width] float64."""
COUNT = "/count"
"""What follows a name, for how many rows its sum has."""


def totals(scores: Mapping[str, Scores]) -> dict[str, Tensor]:
    """Return the sums of row scores over the rows that count, and under `name + COUNT` how many those are.

    Rows that are not a number are left out, with a warning.
    """
    sums: dict[str, Tensor] = {}
    for name, one in scores.items():
        kept = one.without_nan(name)
        mask = kept.mask if kept.values.ndim == 1 else kept.mask.unsqueeze(-1)
        sums[name] = torch.where(mask, kept.values, 0.0).sum(0)
        sums[name + COUNT] = kept.mask.sum()
    return sums


def means(sums: Sums) -> dict[str, Tensor]:
    """Return the mean of everything that `totals` has counted; where it counted nothing, the mean is absent."""
    counted = [name for name in sums if name + COUNT in sums and bool(sums[name + COUNT] > 0)]
    return {name: sums[name] / sums[name + COUNT] for name in counted if sums[name].ndim == 0}


def with_rows(sums: Sums) -> dict[str, Tensor]:
    """Return the sums without those that no row has added to."""
    empty = {name for name in sums if name + COUNT in sums and not bool(sums[name + COUNT] > 0)}
    return {name: value for name, value in sums.items() if name.removesuffix(COUNT) not in empty}
