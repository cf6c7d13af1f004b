"""Which value of a sweep won: the best mean score over the sweep's seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.experiments.matrix import Budget
from qstar_pl.experiments.results.outcome import Outcome, outcome
from qstar_pl.experiments.tuning.sweep import Sweep


@dataclass(frozen=True)
class Try:
    """One value of a sweep."""

    factor: float
    value: float
    outcomes: Sequence[Outcome]
    """One per seed."""
    metric: str
    """The experiment's score."""

    @property
    def score(self) -> float | None:
        """The mean over all seeds; None if one has failed, diverged, or has not ended yet."""
        scores = [one.after.get(self.metric, math.nan) for one in self.outcomes if not one.off_budget]
        mean = sum(scores) / len(self.outcomes)
        return mean if len(scores) == len(self.outcomes) and math.isfinite(mean) else None

    @property
    def why_out(self) -> str:
        """Why it has no score, of the first seed that has none; "" if it has one."""
        for one in self.outcomes:
            if one.reason or one.off_budget:
                return f"seed {one.run.seed}: {one.reason or one.off_budget}"
            if not math.isfinite(one.after.get(self.metric, math.nan)):
                return f"seed {one.run.seed}: {self.metric} is not finite"
        return ""


@dataclass(frozen=True)
class Choice:
    """What a cell's sweep has found."""

    sweep: Sweep
    tries: Sequence[Try]

    @property
    def is_decided(self) -> bool:
        """Whether all runs have ended."""
        return not any(one.status == "unfinished" for each in self.tries for one in each.outcomes)

    @property
    def best(self) -> Try:
        """The highest score; of equal ones the nearest to the cell's own value, then the smaller.

        The cell's own value where no run has a score.
        """
        scored = [one for one in self.tries if one.score is not None]
        if not scored:
            return next(one for one in self.tries if one.factor == 1)
        return max(scored, key=lambda one: (one.score or 0.0, -abs(math.log(one.factor)), -one.factor))

    @property
    def remark(self) -> str:
        """What was decided besides by the score: failures, ties; ""."""
        out = [f"×{one.factor:g} is out ({one.why_out})" for one in self.tries if one.score is None]
        if len(out) == len(self.tries):
            return f"no value has a score, so it stays ({self.tries[0].why_out})"
        equal = [one for one in self.tries if one.score == self.best.score and one is not self.best]
        ties = [f"×{one.factor:g} has the same score" for one in equal]
        return "; ".join(out + ties)

    def __str__(self) -> str:
        best, option = self.best, self.sweep.tune.option
        change = f"stays {best.value:g}" if best.factor == 1 else f"{self.sweep.value(1):g} → {best.value:g}"
        scores = ", ".join(
            f"×{one.factor:g} {'none' if one.score is None else f'{one.score:.3f}'}" for one in self.tries
        )
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.sweep.cell.name}: {option} {change} ({scores}{remark})"


def choose(sweep: Sweep, metric: str, budget: Budget | None) -> Choice:
    """Read what a sweep has found so far.

    Args:
        sweep: of one cell.
        metric: the experiment's score; higher is better.
        budget: of every run.

    """
    tries = [
        Try(factor, sweep.value(factor), [outcome(run, budget) for run in sweep.runs(factor)], metric)
        for factor in sweep.tune.factors
    ]
    return Choice(sweep, tries)
