"""Intervals of numbers that are no function of sums, such as a rank correlation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qstar_pl.evaluation.statistics import Estimate, Interval

MOST = 499
"""Resamples: each forms the number anew from all rows."""


def uncertain(value: float | None, groups: Sequence[int]) -> Estimate:
    """Return a number that counts different things, without an interval.

    Args:
        value: the number; None if the rows do not define it.
        groups: [prompts].

    """
    reason = "a prompt that is drawn twice adds nothing different, so that resampling does not tell how it varies"
    return Estimate(value, None, None, len(groups), len(set(groups)), reason)


def resampled(
    form: Callable[[Sequence[int]], float | None], groups: Sequence[int], confidence: float, resamples: int, seed: int
) -> Estimate:
    """Estimate a number by the percentile bootstrap over prompts.

    Args:
        form: places of prompts, some of them twice → the number; None if they do not define one.
        groups: [prompts]; those with the same one are drawn together.
        confidence: in (0, 1).
        resamples: at most `MOST` are drawn.
        seed: of the resampling.

    """
    places = np.arange(len(groups))
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    of_group = [places[codes == code] for code in range(len(names))]
    value = form(list(places))
    if value is None:
        return Estimate(None, None, None, len(places), len(names), "the rows do not define it")
    if len(names) == 1:
        return Estimate(value, None, None, len(places), 1, "a single prompt does not tell how prompts differ")
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(min(resamples, MOST)):
        chosen = generator.integers(0, len(names), size=len(names))
        drawn.append(form([int(place) for code in chosen for place in of_group[code]]))
    found = np.array([one for one in drawn if one is not None])
    if len(found) < len(drawn):
        return Estimate(value, None, None, len(places), len(names), "it is undefined for some of the resamples")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    interval = Interval(float(low), float(high), confidence, "percentile bootstrap over prompts")
    return Estimate(value, float(found.std(ddof=1)), interval, len(places), len(names))
