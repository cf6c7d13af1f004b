"""The bootstrap of a mean over seeds × prompts, with the width that few seeds ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.interval import Estimate, Interval
from qstar_pl.evaluation.statistics.two_level import two_level_interval

METHOD = "two-level bootstrap t over seeds and prompts"


def two_level_bootstrap(
    values: ArrayLike, *, confidence: float = 0.95, resamples: int = 1999, seed: int = 0
) -> Estimate:
    """Estimate a mean for new seeds on new prompts, by drawing seeds and prompts anew, each with replacement.

    The percentiles of such a bootstrap (Owen 2007, https://arxiv.org/abs/0712.1111) are far too narrow for three or
    five seeds, since the spread of so few is itself hardly known. Only their shape is taken, so that an interval may
    reach further to one side; its size is the standard error and Student's quantile of `two_level_interval`.

    Args:
        values: [seeds, prompts], all finite.
        confidence: in (0, 1).
        resamples: how many resampled tables.
        seed: of the resampling.

    Returns:
        An estimate; without an interval where `two_level_interval` has none, for the same reason.

    Raises:
        UserError: if the values are no table, or one is not finite.

    """
    at_least(100, resamples=resamples)
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise UserError(f"values must be [seeds, prompts], got {table.ndim} dimensions")
    seeds, prompts = table.shape
    of_seeds, of_prompts = np.divmod(np.arange(table.size), max(1, prompts))
    known = two_level_interval(table.reshape(-1), of_prompts, of_seeds, confidence=confidence)
    if known.interval is None or known.value is None:
        return known
    generator = np.random.default_rng(seed)
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    drawn_prompts = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
    means = ((drawn_seeds @ table) * drawn_prompts).sum(axis=1) / table.size
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail)) - known.value
    half = known.interval.high - known.value
    # Stretched as a whole: its length is that of Student's interval, its middle where the percentiles have it.
    scale = 2 * half / (high - low)
    interval = Interval(known.value + scale * float(low), known.value + scale * float(high), confidence, METHOD)
    return Estimate(known.value, known.error, interval, known.rows, known.groups)
