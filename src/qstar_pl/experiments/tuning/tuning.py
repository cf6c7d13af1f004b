"""The sweeps of all cells of an experiment, as far as they have come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qstar_pl.experiments.matrix import Experiment, Settings, Tune
from qstar_pl.experiments.matrix.experiment import SHARED, TUNED
from qstar_pl.experiments.results.files import as_record
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.run_folder import seeds_in
from qstar_pl.experiments.tuning.choice import Choice, Try, choose
from qstar_pl.experiments.tuning.sweep import Sweep, tuned_name

_KEPT = ("seed", "status", "reason", "off_budget", "spent", "after", "origin", "command", "folder", "digest", "code")
"""What results.json says of a run of a sweep."""


@dataclass(frozen=True)
class Tuning:
    """What is tuned, and for which cells."""

    experiment: Experiment
    tune: Tune
    sweeps: Sequence[Sweep]

    @classmethod
    def of(cls, experiment: Experiment, settings: Mapping[str, Settings], output: Path, code: str) -> Tuning | None:
        """Return the sweeps of an experiment; None if nothing is tuned.

        Args:
            experiment: whose cells are tuned.
            settings: of each cell, by its name.
            output: folder of the experiment.
            code: version of the package.

        Raises:
            UserError: if the option is no number of a cell.

        """
        tune = experiment.tune
        if tune is None:
            return None
        sweeps = [Sweep(tune, cell, settings[cell.name], output, code) for cell in experiment.cells]
        for sweep in sweeps:
            sweep.value(1)
        return cls(experiment, tune, sweeps)

    @property
    def runs(self) -> list[PlannedRun]:
        """Those of the sweeps, seed by seed."""
        every = [run for sweep in self.sweeps for factor in self.tune.factors for run in sweep.runs(factor)]
        return sorted(every, key=lambda run: self.tune.seeds.index(run.seed))

    def choices(self) -> list[Choice]:
        """Read what the sweeps have found so far."""
        return [choose(sweep, self.experiment.evaluation.score, self.experiment.budget) for sweep in self.sweeps]

    def tuned(self, seeds: Iterable[int]) -> list[PlannedRun]:
        """Return the runs with the values that won, seed by seed; none of a cell whose sweep has not ended.

        The baseline comes first: the report holds the other tuned cells against it.
        """
        each = list(seeds)
        ended = [one for one in self.choices() if one.is_decided]
        ended.sort(key=lambda one: one.sweep.cell.name != self.experiment.baseline)
        found = [run for one in ended for run in one.sweep.tuned(one.best.factor, each)]
        return sorted(found, key=lambda run: each.index(run.seed))

    def kept(self, seeds: Iterable[int]) -> list[PlannedRun]:
        """Return what has finished with other seeds and the values that won now."""
        there = {seed for sweep in self.sweeps for seed in seeds_in(sweep.output, tuned_name(sweep.cell.name))}
        return [run for run in self.tuned(sorted(there - set(seeds))) if run.state == "finished"]

    def lines(self) -> list[str]:
        """Return what was chosen for each cell whose sweep has ended."""
        return [str(one) for one in self.choices() if one.is_decided]

    def record(self) -> dict[str, Any]:
        """Return `tuning` of results.json."""
        return {
            "option": self.tune.option,
            "factors": list(self.tune.factors),
            "seeds": list(self.tune.seeds),
            "cells": [_record(one) for one in self.choices()],
        }


def with_tuned(experiment: Experiment) -> Experiment:
    """Return the experiment with the factor "tuned", and with its comparisons among tuned cells too."""
    among_tuned = tuple((tuned_name(one), tuned_name(other)) for one, other in experiment.report.comparisons)
    return replace(
        experiment,
        cells=[replace(cell, factors={**cell.factors, TUNED: SHARED}) for cell in experiment.cells],
        report=replace(experiment.report, comparisons=experiment.report.comparisons + among_tuned),
    )


def _record(choice: Choice) -> dict[str, Any]:
    best, name = choice.best, choice.sweep.cell.name
    return {
        "cell": name,
        "tuned": tuned_name(name),
        "shared": choice.sweep.value(1),
        "chosen": {"factor": best.factor, "value": best.value} if choice.is_decided else None,
        "remark": choice.remark if choice.is_decided else "",
        "tries": [_tried(one) for one in choice.tries],
    }


def _tried(one: Try) -> dict[str, Any]:
    runs = [{key: value for key, value in as_record(each).items() if key in _KEPT} for each in one.outcomes]
    return {"factor": one.factor, "value": one.value, "score": one.score, "runs": runs}
