"""How often the answers win against the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qstar_pl.evaluating.records import key_of
from qstar_pl.evaluating.report.forming import Statistics
from qstar_pl.evaluation.judges.position import PositionBias
from qstar_pl.evaluation.statistics import Estimate, mean_interval, sign_flip_test
from qstar_pl.evaluation.win_rates import length_controlled

NO_REASON = "no reason was given"


@dataclass(frozen=True)
class WinRate:
    """Of all verdicts: the mean preference, in which a tie is one half."""

    judge: str
    """Its description."""
    rate: Estimate
    p_value: float | None
    """Two-sided, that the sides win equally often: sign flips of the prompts' means around one half."""
    wins: int
    """Preferences above one half, …"""
    ties: int
    losses: int
    without: Mapping[str, int] = field(default_factory=dict)
    """Reason → number of pairs without a verdict, which count nowhere."""
    length_controlled: Estimate | None = None
    """What the rate would be at equal lengths; None where lengths were not stored."""
    position: PositionBias | None = None
    """Of a judge that says in which order it saw the answers."""
    p_holm: float | None = None
    """See `Number.p_holm`."""


def win_rate_of(records: Sequence[Mapping[str, Any]], judge: str, how: Statistics) -> WinRate:
    """Return the win rate from lines of scores.jsonl."""
    rows = [(key_of(record), verdict) for record in records for verdict in record.get("verdicts", ())]
    mask = np.array([verdict["preference"] is not None for _, verdict in rows], bool)
    values = np.array([verdict["preference"] or 0.0 for _, verdict in rows], np.float64)
    groups = np.array([key for key, _ in rows], np.int64)
    rate = mean_interval(values, groups, mask=mask, bounds=(0.0, 1.0), confidence=how.confidence)
    counted = values[mask]
    missing = Counter(verdict.get("reason") or NO_REASON for _, verdict in rows if verdict["preference"] is None)
    means = _means(counted, groups[mask])
    p_value = sign_flip_test(means - 0.5, resamples=how.resamples, seed=how.seed) if len(counted) else None
    return WinRate(
        judge,
        rate,
        p_value,
        wins=int((counted > 0.5).sum()),
        ties=int((counted == 0.5).sum()),
        losses=int((counted < 0.5).sum()),
        without=dict(sorted(missing.items())),
        length_controlled=_at_equal_length([verdict for _, verdict in rows], groups, how),
        position=PositionBias.of(verdict.get("extra", {}) for _, verdict in rows),
    )


def _at_equal_length(verdicts: Sequence[Mapping[str, Any]], groups: Any, how: Statistics) -> Estimate | None:
    lengths = [verdict.get("lengths") for verdict in verdicts]
    if not lengths or None in lengths:
        return None
    first, second = np.array(lengths, np.float64).T
    preferences = [verdict["preference"] for verdict in verdicts]
    return length_controlled(preferences, first, second, groups=groups, confidence=how.confidence)


def _means(values: Any, groups: Any) -> Any:
    """Return the mean of each prompt's values."""
    _, codes = np.unique(groups, return_inverse=True)
    return np.bincount(codes, weights=values) / np.bincount(codes)
