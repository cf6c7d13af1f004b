"""How often a model's answers are preferred to the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstar_pl.evaluation.statistics import Estimate, mean_interval


@dataclass(frozen=True)
class HeadToHead:
    """A model against its baseline."""

    win_rate: Estimate
    """Of the mean preference: a draw counts half, a probability as what it is."""
    discrete_win_rate: Estimate
    """The same after every preference was taken for a win, a draw or a loss."""
    wins: int
    losses: int
    draws: int
    missing: int
    """Comparisons without a verdict; they count nowhere else."""


def head_to_head(
    preferences: Sequence[float | None] | NDArray[np.float64],
    groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    confidence: float = 0.95,
) -> HeadToHead:
    """Return win rate, its standard error, and counts, as AlpacaEval defines them.

    Args:
        preferences: [rows], in [0, 1]: 1 the model wins, 0.5 a draw, 0 the baseline wins; None or NaN: no verdict.
        groups: [rows], the prompt of each row; None if each row is a prompt of its own.
        confidence: of the intervals.

    Raises:
        UserError: if a preference lies outside [0, 1].

    """
    values = np.array([np.nan if one is None else one for one in preferences], dtype=np.float64)
    known = ~np.isnan(values)
    rounded = (np.sign(values - 0.5) + 1) / 2
    return HeadToHead(
        win_rate=mean_interval(values, groups, mask=known, bounds=(0, 1), confidence=confidence),
        discrete_win_rate=mean_interval(rounded, groups, mask=known, bounds=(0, 1), confidence=confidence),
        wins=int((values > 0.5).sum()),
        losses=int((values < 0.5).sum()),
        draws=int((values == 0.5).sum()),
        missing=int((~known).sum()),
    )
