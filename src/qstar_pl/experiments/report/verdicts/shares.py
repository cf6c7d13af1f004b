"""The share of a run's windows in which a ratio lies within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qstar_pl.evaluation.statistics import Interval
from qstar_pl.experiments.report.reading import Floats


def share_within(runs: Sequence[Floats], bounds: tuple[float, float]) -> tuple[float, Interval | None]:
    """Return the share of windows within bounds, and Wilson's interval at the effective number of windows.

    Windows of a run are alike. How alike, the ratio itself tells, also where every window lies within: with m windows
    per run, n runs, and the logarithm's variance s² over all windows and v of the runs' means, m·n windows are worth
    m·n/D independent ones with D = m·v/s² (at least 1). Without a second run D is not known.

    Args:
        runs: positive ratios of each run, [windows] each.
        bounds: (low, high).

    """
    values = np.concatenate(list(runs))
    share = float(((values >= bounds[0]) & (values <= bounds[1])).mean())
    if len(runs) < 2:
        return share, None
    from scipy.stats import binomtest

    logs = [np.log(one) for one in runs]
    spread = float(np.concatenate(logs).var())
    between = float(np.array([one.mean() for one in logs]).var(ddof=1))
    windows = len(values) / len(runs)
    alike = max(1.0, windows * between / spread) if spread > 0 else windows
    effective = max(len(runs), round(len(values) / alike))
    at = binomtest(round(share * effective), effective).proportion_ci(0.95, method="wilson")
    return share, Interval(float(at.low), float(at.high), 0.95, "Wilson at the effective number of windows")
