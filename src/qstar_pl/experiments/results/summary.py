"""Writes the results folder, and prints tables and what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qstar_pl.experiments.matrix import Experiment
from qstar_pl.experiments.places import CURVES, RESULTS
from qstar_pl.experiments.report.headline import headline
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.comparison import comparisons
from qstar_pl.experiments.report.tables.main import comparison_table, main_table, spent_table, times_table
from qstar_pl.experiments.report.written.files import write_tables
from qstar_pl.experiments.report.written.terminal import print_tables
from qstar_pl.experiments.results.files import write_results
from qstar_pl.experiments.results.judged import judged_by
from qstar_pl.experiments.results.outcome import Outcome, outcome
from qstar_pl.experiments.running.planned import PlannedRun


def summarize(experiment: Experiment, runs: Sequence[PlannedRun], folder: Path) -> int:
    """Write what there is so far; return how many runs failed, ended off their budget or lack a score."""
    outcomes = [outcome(run, experiment.budget) for run in runs]
    if experiment.budget is None:
        experiment = replace(experiment, evaluation=judged_by(outcomes))
    write_results(experiment, outcomes, folder)
    written = [folder / RESULTS, folder / CURVES]
    ended = any(one.status == "finished" for one in outcomes)
    if ended:
        written += write_tables([read_results(folder)], folder)
        print_results(folder)
    print(f"written: {', '.join(map(str, written))}")
    if ended:
        print(
            f"curves:  qstar curves {folder}/cells --key {experiment.evaluation.score} --band "
            f"--output {folder}/curves.png"
        )
    return _wrong(outcomes, experiment.evaluation.score)


def print_results(folder: Path) -> None:
    """Print what a results folder says in short: three sentences, what was learned, how cells differ, what it cost."""
    from qstar_pl.console import SpellingConsole

    results = read_results(folder)
    found, console = comparisons(results), SpellingConsole()
    console.print("\n".join(("", *headline(results, found))), highlight=False, markup=False)
    print_tables([main_table(results), comparison_table(results, found)], console)
    print_tables([spent_table(results), times_table(results)], console)
    console.print()


def _wrong(outcomes: Sequence[Outcome], score: str) -> int:
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
