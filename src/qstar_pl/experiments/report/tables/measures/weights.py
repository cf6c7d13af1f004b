"""How evenly q serves π_θ and π_t."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.measure import Measure, PerSeed, mean_logged

KEY = "ess/ratio"


@dataclass(frozen=True)
class ESSRatio(Measure):
    """ESS_θ/ESS_t during training."""

    heading = "ESS_θ/ESS_t"
    explained = "geometric mean of `ess/ratio` over the log windows of a run; 1 where both are served alike"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        runs = results.finished(cell)
        found = {run.seed: mean_logged(results, cell, run.seed, KEY, geometric=True) for run in runs}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}
