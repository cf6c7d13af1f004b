"""How much less a cell spends to reach what the baseline reaches at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qstar_pl.evaluation.statistics import Interval
from qstar_pl.experiments.report.curves_over_seeds import first_reach, seed_curves
from qstar_pl.experiments.report.reading import Axis, Floats, Results
from qstar_pl.experiments.report.tables.measures.measure import NOTHING, Measure, PerSeed, number, shown, summary

NEVER, AT_ONCE = "never", "at once"


@dataclass(frozen=True)
class Efficiency(Measure):
    """What the baseline has spent at its end / what the cell has spent when it first reaches the same held-out score.

    0 if it never does, inf if it does before its first step. The mean curve over seeds counts, on straight lines
    between validations; so validations that stand far apart, and noise in them, make it coarse.
    """

    x: Axis = "samples"
    better = "higher"

    @property
    def title(self) -> str:
        """Of what."""
        return f"{ {'samples': 'sample', 'tokens': 'token', 'seconds': 'time'}.get(self.x, self.x) } efficiency"

    @property
    def explained(self) -> str:  # type: ignore[override]
        """See `Measure.explained`."""
        what = "seconds of training" if self.x == "seconds" else self.x
        return (
            f"{what} that the baseline has spent at its end / {what} at which the cell first reaches the baseline's "
            "final score (mean curves over seeds, linear between validations; ± s.d. of the seeds' own ratios); the "
            "baseline's own says how early it had reached that score itself"
        )

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`: each seed against the baseline's same seed."""
        found = {}
        for seed in common_seeds(results, cell, baseline):
            one = self.over_seeds(results, cell, baseline, [seed])
            if one is not None:
                found[seed] = one
        return found

    def over_seeds(
        self, results: Results, cell: str, baseline: str, seeds: Sequence[int] | None = None
    ) -> float | None:
        """Return it of the mean curves over seeds; None where a curve or what was spent is not known."""
        seeds = common_seeds(results, cell, baseline) if seeds is None else seeds
        curve = seed_curves(results, cell, results.score, self.x, seeds)
        ends = self._ends(results, baseline, curve.seeds)
        if ends is None or not len(curve.x):
            return None
        spent, final = ends
        return _ratio(float(spent.mean()), first_reach(curve.x, curve.mean, float(final.mean())))

    def interval(self, results: Results, cell: str, baseline: str, confidence: float = 0.95) -> Interval | None:
        """Return the ratios at which the two cells could have the same score.

        At each amount the paired differences over seeds (the cell's score there minus the baseline's final one) have
        Student's interval. Where its lower end first reaches 0, the cell has surely arrived; before its upper end
        does, it surely has not: Fieller's way of turning an interval of a difference into one of a ratio.
        """
        from scipy.special import stdtrit

        curve = seed_curves(results, cell, results.score, self.x, common_seeds(results, cell, baseline))
        ends = self._ends(results, baseline, curve.seeds)
        count = len(curve.seeds)
        if ends is None or count < 2 or not len(curve.x):
            return None
        spent, final = ends
        apart = curve.y - final[:, None]
        half = float(stdtrit(count - 1, (1 + confidence) / 2)) * apart.std(axis=0, ddof=1) / np.sqrt(count)
        surely, perhaps = (first_reach(curve.x, apart.mean(axis=0) + side * half, 0.0) for side in (-1.0, 1.0))
        total = float(spent.mean())
        return Interval(_ratio(total, surely), _ratio(total, perhaps), confidence, "inverted paired t over seeds")

    def _ends(self, results: Results, baseline: str, seeds: Sequence[int]) -> tuple[Floats, Floats] | None:
        """Return what the baseline has spent at its end and its final score, [seeds] each."""
        spent, final = [], []
        for seed in seeds:
            points = results.series(baseline, seed, results.score, self.x)
            if not len(points) or not np.isfinite(points.y[-1]):
                return None
            spent.append(points.x[-1])
            final.append(points.y[-1])
        return (np.array(spent), np.array(final)) if spent else None

    def text(self, results: Results, cell: str, baseline: str) -> str:
        """See `Measure.text`; with how many seeds never reach it."""
        value = self.over_seeds(results, cell, baseline)
        if value is None:
            return NOTHING
        ratios = self.per_seed(results, cell, baseline)
        never = sum(one == 0 for one in ratios.values())
        said = ratio_text(value)
        found = summary(ratios)
        if not never and found is not None and found.spread is not None and np.isfinite(value):
            said += f" ± {found.spread:,.{shown(value, 2)}f}"
        return f"{said} ({NEVER} in {never} of {len(ratios)})" if never and value > 0 else said


def ratio_text(value: float) -> str:
    """Return an efficiency in words where it is none: 0 is "never", inf is "at once"."""
    return NEVER if value == 0 else AT_ONCE if np.isinf(value) else number(value, 2)


def common_seeds(results: Results, cell: str, other: str) -> list[int]:
    """Return the seeds with which both have come to their end."""
    ended = {run.seed for run in results.finished(other)}
    return [run.seed for run in results.finished(cell) if run.seed in ended]


def _ratio(spent: float, reached: float) -> float:
    return 0.0 if np.isinf(reached) else float("inf") if reached == 0 else spent / reached
