"""Which of several models wins more often against the same baseline, on the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from qstar_pl.evaluation.statistics import PairedDifference, holm, paired_difference
from qstar_pl.evaluation.win_rates.annotations import Annotation, by_pair


@dataclass(frozen=True)
class ModelDifference:
    """The win rate of a model minus that of another, over the prompts on which both have a verdict."""

    model: str
    than: str
    baseline: str
    """Of both."""
    paired: PairedDifference
    p_value: float | None
    """Of the sign-flip test, after Holm's correction for all pairs of models."""


def model_differences(
    annotations: Sequence[Annotation], *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> list[ModelDifference]:
    """Compare every two models that were judged against the same baseline, the one that wins more often first.

    Args:
        annotations: of several models.
        confidence: of the intervals.
        resamples: of the sign-flip tests.
        seed: of the sign-flip tests.

    Raises:
        UserError: if a prompt is there twice for the same pair of models.

    """
    found = []
    pairs = by_pair(annotations).items()
    for ((one, baseline), rows), ((other, another), others) in combinations(pairs, 2):
        sides = [{row.place: row.preference for row in side if row.preference is not None} for side in (rows, others)]
        common = [place for place in sides[0] if place in sides[1]]
        if baseline != another or not common:
            continue
        first, second = (np.array([side[place] for place in common]) for side in sides)
        names, prompts = (one, other), [prompt for prompt, _ in common]
        if first.mean() < second.mean():
            first, second, names = second, first, (other, one)
        paired = paired_difference(first, second, prompts, confidence=confidence, resamples=resamples, seed=seed)
        found.append(ModelDifference(*names, baseline, paired, paired.sign_flips))
    corrected = holm({place: one.p_value for place, one in enumerate(found) if one.p_value is not None})
    return [replace(one, p_value=corrected.get(place)) for place, one in enumerate(found)]
