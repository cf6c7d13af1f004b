"""Two systems on the same prompts: the difference, how sure it is, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.effect_size import paired_cohen_d
from qstar_pl.evaluation.statistics.interval import Estimate
from qstar_pl.evaluation.statistics.mean import mean_interval
from qstar_pl.evaluation.statistics.rows import Rows, rows_of
from qstar_pl.evaluation.statistics.significance import paired_t_test, sign_flip_test


@dataclass(frozen=True)
class PairedDifference:
    """The first system minus the second, over the prompts that both have answered."""

    difference: Estimate
    """Of the mean over prompts of (mean of the first's answers − mean of the second's)."""
    t_test: float | None
    """Two-sided p-value of the paired t-test."""
    sign_flips: float | None
    """Two-sided p-value of the sign-flip permutation test."""
    cohen_d: float | None
    """The mean difference in standard deviations of the differences."""
    better: float | None
    """Share of prompts on which the first is better; a tie counts half."""
    left_out: int
    """Prompts that only one of the two has answered."""


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    second_groups: Sequence[Any] | NDArray[Any] | None = None,
    *,
    mask: ArrayLike | None = None,
    second_mask: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> PairedDifference:
    """Compare two systems by the difference that each prompt shows; every prompt weighs the same.

    Args:
        first: [rows] of the first system.
        second: [rows] of the second; it may have another number of answers per prompt.
        groups: [rows], the prompts of the first's rows.
        second_groups: the prompts of the second's rows; None if they are those of the first's.
        mask: [rows], false where there is nothing to measure.
        second_mask: the same of the second.
        confidence: in (0, 1).
        resamples: of the permutation test.
        seed: of the permutation test.

    Raises:
        UserError: if lengths differ, a value is not finite, or the systems have no prompt in common.

    """
    one = rows_of(first, groups, mask)
    other = rows_of(second, groups if second_groups is None else second_groups, second_mask)
    means, of_others = _means(one), _means(other)
    common = [name for name in one.names if name in of_others]
    if not common:
        raise UserError(
            f"the systems must have prompts in common, got {one.groups} and {other.groups} of which none is in both"
        )
    differences = np.array([means[name] - of_others[name] for name in common])
    return PairedDifference(
        difference=mean_interval(differences, confidence=confidence, bounds=(-np.inf, np.inf)),
        t_test=paired_t_test(differences),
        sign_flips=sign_flip_test(differences, resamples=resamples, seed=seed),
        cohen_d=paired_cohen_d(differences),
        better=float((np.sign(differences) + 1).mean() / 2),
        left_out=one.groups + other.groups - 2 * len(common),
    )


def _means(rows: Rows) -> dict[Any, float]:
    """Return group → mean of its rows."""
    return dict(zip(rows.names, (rows.sums[:, 0] / rows.sizes).tolist(), strict=True))
