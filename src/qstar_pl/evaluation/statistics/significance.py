"""Whether a difference may be chance: tests of paired differences, and Holm's correction of many of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from qstar_pl.checks import at_least, within
from qstar_pl.evaluation.statistics.rows import Floats
from qstar_pl.evaluation.statistics.totals import Statistic

Name = TypeVar("Name", bound=Hashable)
_CELLS = 4_000_000


def paired_t_test(differences: ArrayLike) -> float | None:
    """Return the two-sided p-value of Student's t-test that the mean of paired differences is zero.

    Args:
        differences: [pairs], independent of each other: one per prompt.

    Returns:
        The p-value; 1 if every difference is zero; None for a single pair, or for equal differences other than zero,
        of which no test can tell how they spread.

    """
    from scipy.stats import ttest_1samp

    values = np.asarray(differences, dtype=np.float64)
    if len(values) and not values.any():
        return 1.0
    if len(values) < 2 or np.ptp(values) <= 1e-13 * np.abs(values).max():
        return None
    return float(ttest_1samp(values, 0.0).pvalue)


def sign_flip_test(differences: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> float | None:
    """Return the two-sided p-value that the differences' signs are chance, by flipping them: SciPy's permutation test.

    Exact where there are no more than `resamples` ways to flip them, which is up to 13 pairs by default.

    Args:
        differences: [pairs], independent of each other: one per prompt.
        resamples: how many random flips; the smallest p-value is 1/(resamples + 1).
        seed: of the flips.

    Returns:
        The p-value, None without a pair.

    """
    from scipy.stats import permutation_test

    at_least(100, resamples=resamples)
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return None
    moved = values[values != 0]  # what is zero stays so under any sign
    if len(moved) < 2:
        return 1.0
    result = permutation_test(
        (moved,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _CELLS // len(moved)),
        rng=np.random.default_rng(seed),
    )
    return float(min(1.0, result.pvalue))


def swap_test(
    first: Floats, second: Floats, statistic: Statistic, *, resamples: int = 1999, seed: int = 0
) -> float | None:
    """Return the two-sided p-value that two systems differ in a number formed from totals over prompts.

    Paired approximate randomization (Riezler & Maxwell 2005): prompt by prompt the two systems are swapped or not.

    Args:
        first: [prompts, width], what each prompt adds to the totals of the first system.
        second: [prompts, width], the same prompts in the same order.
        statistic: totals [width] → number.
        resamples: how many random swaps.
        seed: of the swaps.

    Returns:
        The p-value; None if there is no prompt, or the number is undefined for one of the swaps.

    """
    at_least(100, resamples=resamples)
    if not len(first):
        return None
    generator = np.random.default_rng(seed)
    gain = second - first
    one, other = first.sum(axis=0), second.sum(axis=0)
    observed = abs(statistic(one) - statistic(other))
    batch = max(1, _CELLS // len(first))  # a table of all swaps of all prompts could fill the memory
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    swapped = (move for size in sizes for move in generator.integers(0, 2, size=(size, len(first))) @ gain)
    with np.errstate(all="ignore"):
        differences = np.array([abs(statistic(one + move) - statistic(other - move)) for move in swapped])
    if not (np.isfinite(differences).all() and np.isfinite(observed)):
        return None
    return float((1 + (differences >= observed * (1 - 1e-12)).sum()) / (1 + resamples))


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Return the p-values after Holm's step-down correction: below 0.05 is significant, whichever others were asked.

    Among all comparisons together, at most 5% of studies then find a difference where there is none (Holm 1979).

    Args:
        p_values: name → p-value in [0, 1].

    Raises:
        UserError: if one is outside.

    """
    if not p_values:
        return {}
    from statsmodels.stats.multitest import multipletests

    for name, p_value in p_values.items():
        within("[0, 1]", **{f"the p-value of {name}": p_value})
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: float(one) for name, one in zip(p_values, corrected, strict=True)}
