"""The held-out score, before training and after."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.measure import Measure, PerSeed

_DIVERGENCE = "kl_policy_reference"


@dataclass(frozen=True)
class ScoreBefore(Measure):
    """Of the policy before its first step."""

    score: str | None = None
    """Key of a part's score; None: the experiment's."""
    heading = "before"
    explained = "the held-out score before the first step"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        key = self.score or results.score
        return {run.seed: run.before[key] for run in results.finished(cell) if key in run.before}


@dataclass(frozen=True)
class ScoreAfter(Measure):
    """Of the policy at the end of its budget."""

    score: str | None = None
    """Key of a part's score; None: the experiment's."""
    heading = "after"
    better = "higher"
    explained = "the same at the end of the budget"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        key = self.score or results.score
        return {run.seed: run.after[key] for run in results.finished(cell) if key in run.after}


@dataclass(frozen=True)
class HeldOut(Measure):
    """Another metric of the last validation."""

    key: str
    explained = "another metric of the last validation (behind a slash: on one part's prompts)"

    @property
    def title(self) -> str:
        """Its key without `val/`; a divergence as `Divergence` calls it."""
        name = self.key.removeprefix("val/")
        metric, slash, part = name.partition("/")
        return f"{Divergence.heading}{slash}{part}, {Divergence.unit}" if metric == _DIVERGENCE else name

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        return {run.seed: run.after[self.key] for run in results.finished(cell) if self.key in run.after}


@dataclass(frozen=True)
class Divergence(Measure):
    """How far the policy has gone from where it began."""

    heading, unit, digits = "KL(θ‖init)", "nats", 2
    explained = "D(π_θ‖π_init) per held-out answer, at the end"

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        key = results.key_of(f"val/{_DIVERGENCE}", results.scored_part)
        return HeldOut(key).per_seed(results, cell, baseline)
