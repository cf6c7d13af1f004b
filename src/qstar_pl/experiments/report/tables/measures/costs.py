"""What a run has spent, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import WALL_S, Results
from qstar_pl.experiments.report.tables.measures.measure import Measure, PerSeed

WHAT = {
    "samples": "answers drawn, pairs or demonstrations",
    "generated": "completion tokens that were sampled",
    "tokens": "completion tokens that were trained on, once per pass",
}


@dataclass(frozen=True)
class Spent(Measure):
    """Samples, sampled tokens or trained tokens at the end."""

    what: str = "samples"
    digits = 0

    @property
    def explained(self) -> str:  # type: ignore[override]
        """See `Measure.explained`."""
        return f"{WHAT.get(self.what, self.what)}, at the end of a run"

    @property
    def title(self) -> str:
        """In words."""
        return {"generated": "sampled tokens", "tokens": "trained tokens"}.get(self.what, self.what)

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        return {run.seed: run.spent[self.what] for run in results.finished(cell) if self.what in run.spent}


@dataclass(frozen=True)
class TrainingSeconds(Measure):
    """How long training took."""

    heading, unit, digits, better = "training", "s", 0, "lower"
    explained = "seconds of training without loading and validation, earlier stages included"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        found = {run.seed: results.series(cell, run.seed, WALL_S, "step").y for run in results.finished(cell)}
        spent = {seed: one[-1] + results.seconds_before(cell, seed) for seed, one in found.items() if len(one)}
        return {seed: float(one) for seed, one in spent.items() if np.isfinite(one)}


@dataclass(frozen=True)
class RunSeconds(Measure):
    """How long a run took."""

    heading, unit, digits = "run", "s", 0
    explained = "wall time of a run's last start, with loading and validation, without earlier stages"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        return {run.seed: run.seconds for run in results.finished(cell) if run.seconds is not None}
