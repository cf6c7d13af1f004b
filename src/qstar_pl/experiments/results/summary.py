"""Writes the results folder and its report, and says what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qstar_pl.experiments.matrix import Experiment
from qstar_pl.experiments.places import REPORT, RESULTS
from qstar_pl.experiments.results.files import write_results
from qstar_pl.experiments.results.judged import judged_by
from qstar_pl.experiments.results.outcome import Outcome, outcome
from qstar_pl.experiments.running.planned import PlannedRun


def summarize(
    experiment: Experiment, runs: Sequence[PlannedRun], folder: Path, tuning: Mapping[str, Any] | None = None
) -> int:
    """Write what there is so far; return how many runs failed, ended off their budget or lack a score.

    Args:
        experiment: that was run.
        runs: of its cells.
        folder: for the results.
        tuning: what a sweep has found, as results.json has it.

    """
    outcomes = [outcome(run, experiment.budget) for run in runs]
    if experiment.budget is None:
        experiment = replace(experiment, evaluation=judged_by(outcomes))
    write_results(experiment, outcomes, folder, tuning)
    count = say_what_is_wrong(outcomes, experiment.evaluation.score)
    if not any(one.status == "finished" for one in outcomes):
        print(f"no run has finished, so there is no report yet; what there is stands in {folder / RESULTS}")
        return count
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.report.reading import read_results
    from qstar_pl.experiments.report.report import write_report
    from qstar_pl.experiments.results.printed import print_results

    results = read_results(folder)
    print_results(results, SpellingConsole())
    print(f"\nresults: {folder / RESULTS}\nreport:  {write_report([results], folder / REPORT)}")
    return count


def say_what_is_wrong(outcomes: Sequence[Outcome], score: str) -> int:
    """Return how many runs failed, ended off their budget or lack the score; say which, and how many are unfinished."""
    unfinished = sum(one.status == "unfinished" for one in outcomes)
    if unfinished:
        print(f"unfinished: {unfinished} of {len(outcomes)} runs", file=sys.stderr)
    count = 0
    for one in outcomes:
        said = f"failed: {one.run.name}: {one.reason} ({one.run.folder.log})" if one.status == "failed" else ""
        said = said or (f"off budget: {one.run.name}: {one.off_budget}" if one.off_budget else "")
        if not said and one.after and score not in one.after:
            measured = ", ".join(sorted(one.after))
            said = f"no score: {one.run.name}: evaluation.score must be measured, got {score} (measured: {measured})"
        if said:
            print(said, file=sys.stderr)
            count += 1
    return count
