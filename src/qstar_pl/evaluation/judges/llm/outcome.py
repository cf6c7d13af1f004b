"""A comparison as one or two requests, and the verdict that their judgments add up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from qstar_pl.evaluation.judges.llm.cache import Judgment
from qstar_pl.evaluation.judges.position import FIRST, ORDERS
from qstar_pl.evaluation.judges.verdict import Verdict

Shown = Literal["answer_first", "baseline_first"]
"""Which of the two stands first in a request."""
DISAGREE = "the two orders disagree"


def verdict_of_orders(judgments: Mapping[Shown, Judgment]) -> Verdict:
    """Return the verdict of one order or of both.

    Both orders must say the same: if they differ, it is a tie; of probabilities it is the mean. If one order has no
    verdict there is none at all, since the other alone would bring its position's bias into just these comparisons.

    Args:
        judgments: by what stood first.

    """
    preferences: dict[Shown, float | None] = {}
    for shown, judgment in judgments.items():
        value = judgment.value
        preferences[shown] = value if value is None or shown == FIRST else 1.0 - value
    extra = {ORDERS: dict(preferences)}
    for judgment in judgments.values():
        if judgment.value is None:
            return Verdict(None, judgment.reason, extra)
    values = [value for value in preferences.values() if value is not None]
    if any(judgment.weighted for judgment in judgments.values()):
        return Verdict(sum(values) / len(values), extra=extra)
    if len(set(values)) == 1:
        return Verdict(values[0], extra=extra)
    return Verdict(0.5, DISAGREE, extra)


def verdict_of_scores(answer: Judgment, baseline: Judgment) -> Verdict:
    """Return the verdict of two answers that were scored one by one: the higher score wins, equal ones tie."""
    for judgment in (answer, baseline):
        if judgment.value is None:
            return Verdict(None, judgment.reason)
    assert answer.value is not None
    assert baseline.value is not None
    return Verdict.of_scores(answer.value, baseline.value)
