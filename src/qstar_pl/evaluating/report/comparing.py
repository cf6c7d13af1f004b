"""The difference of two sides that have answered the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qstar_pl.evaluating.report.all_rows import resampled, uncertain
from qstar_pl.evaluating.report.measured import Measured
from qstar_pl.evaluation.statistics import (
    Estimate,
    difference_of,
    paired_difference,
    statistic_interval,
    swap_test,
)


@dataclass(frozen=True)
class Compared:
    """Answers minus baseline."""

    difference: Estimate
    p_value: float | None
    """Two-sided, that the sides are alike: signs of the prompts' differences flipped at random, or where the number is
    no mean, the two sides swapped prompt by prompt. None where it cannot be told."""


def compared(
    answers: Measured, baseline: Measured, key: str, confidence: float, resamples: int, seed: int
) -> Compared | None:
    """Return how the two sides differ in a number; None if they have no prompt in common."""
    if answers.is_of_means:
        return _of_means(answers, baseline, key, confidence, resamples, seed)
    common = _common(answers, baseline)
    if not common:
        return None
    if answers.metric.all_rows:
        return _of_rows(answers, baseline, key, common, confidence, resamples, seed)
    common = [(place, other) for place, other in common if answers.counted[place] and baseline.counted[other]]
    if not common:
        return None
    first = answers.totals[[place for place, _ in common]]
    second = baseline.totals[[place for _, place in common]]
    groups = [answers.prompts[place] for place, _ in common]
    form = answers.statistic(key)
    both = np.concatenate((first, second), axis=1)
    difference = statistic_interval(
        both, groups, difference_of(form), confidence=confidence, resamples=resamples, seed=seed
    )
    return Compared(difference, swap_test(first, second, form, resamples=resamples, seed=seed))


def _of_means(
    answers: Measured, baseline: Measured, key: str, confidence: float, resamples: int, seed: int
) -> Compared | None:
    one, other = answers.columns[key], baseline.columns[key]
    groups, others = one.groups_of_rows, other.groups_of_rows
    if not set(groups[one.mask].tolist()) & set(others[other.mask].tolist()):
        return None
    options: dict[str, Any] = {"mask": one.mask, "second_mask": other.mask, "resamples": resamples, "seed": seed}
    paired = paired_difference(one.values, other.values, groups, others, confidence=confidence, **options)
    return Compared(paired.difference, paired.sign_flips)


def _of_rows(
    answers: Measured,
    baseline: Measured,
    key: str,
    common: Sequence[tuple[int, int]],
    confidence: float,
    resamples: int,
    seed: int,
) -> Compared:
    def form(chosen: Sequence[int]) -> float | None:
        found = [
            side.of_prompts([common[place][number] for place in chosen]).get(key)
            for number, side in enumerate((answers, baseline))
        ]
        return None if found[0] is None or found[1] is None else found[0] - found[1]

    groups = [answers.prompts[place] for place, _ in common]
    if answers.metric.counts_different:
        return Compared(uncertain(form(range(len(common))), groups), None)
    return Compared(resampled(form, groups, confidence, resamples, seed), None)


def _common(answers: Measured, baseline: Measured) -> list[tuple[int, int]]:
    """Return the places of prompts that both have, of a prompt that occurs twice in turn."""
    places: dict[int, list[int]] = {}
    for place, group in enumerate(baseline.prompts):
        places.setdefault(group, []).append(place)
    return [(place, places[group].pop(0)) for place, group in enumerate(answers.prompts) if places.get(group)]
