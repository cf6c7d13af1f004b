"""Writes the results folder, and prints tables and what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qstar_pl.experiments.comparison import COSTS, Results, as_csv, as_markdown, changes, costs
from qstar_pl.experiments.comparison_figure import save_comparison
from qstar_pl.experiments.matrix import Experiment
from qstar_pl.experiments.places import CURVES, RESULTS
from qstar_pl.experiments.results.files import write_results
from qstar_pl.experiments.results.outcome import Outcome, outcome
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.files import write_text

if TYPE_CHECKING:
    from rich.table import Table

    from qstar_pl.console import SpellingConsole


def summarize(experiment: Experiment, runs: Sequence[PlannedRun], folder: Path) -> int:
    """Write what there is so far; return how many runs failed, ended off their budget or lack a score."""
    outcomes = [outcome(run, experiment.budget) for run in runs]
    write_results(experiment, outcomes, folder)
    results = by_cell(outcomes, experiment.baseline)
    written = [folder / RESULTS, folder / CURVES]
    if results:
        from qstar_pl.console import SpellingConsole

        for name, text in (("results.csv", as_csv(results)), ("results.md", tables(results))):
            write_text(folder / name, text)
            written.append(folder / name)
        figure = folder / "experiment.png"
        written += [figure] if save_comparison(results, figure) else []
        print_comparison(results, SpellingConsole())
    print(f"written: {', '.join(map(str, written))}")
    if results:
        print(
            f"curves:  qstar curves {folder}/cells --key {experiment.evaluation.score} --band "
            f"--output {folder}/curves.png"
        )
    return _wrong(outcomes, experiment.evaluation.score)


def by_cell(outcomes: Sequence[Outcome], baseline: str) -> Results:
    """Return the finished runs by cell, the baseline first, since the tables compare with the first."""
    ended = [one for one in outcomes if one.status == "finished"]
    names = sorted(dict.fromkeys(one.run.cell.name for one in ended), key=lambda name: name != baseline)
    return {name: [one.seed_result() for one in ended if one.run.cell.name == name] for name in names}


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


def tables(results: Results) -> str:
    """Return the contents of results.md."""
    from qstar_pl.experiments.differences import differences, differences_as_markdown

    apart = differences_as_markdown(differences(results))
    return as_markdown(results) + (f"\n{apart}" if apart else "")


def print_comparison(results: Results, console: SpellingConsole) -> None:
    """Print what was gained, how configurations differ, and what it cost."""
    from qstar_pl.experiments.differences import differences

    seeds = max(map(len, results.values()))
    gained = _table(
        f"held-out, mean over {seeds} seeds (gain ± s.d.)" if seeds > 1 else "held-out, one seed",
        ("experiment", "metric", "before", "after", "gain", "rose"),
        words=2,
    )
    last = None
    for one in changes(results):
        gained.add_row(one.experiment if one.experiment != last else "", *one.cells())
        last = one.experiment
    console.print(gained)
    compared = differences(results)
    if compared:
        title = f"after training, minus {compared[0].than} seed by seed"
        apart = _table(title, ("experiment", "metric", "difference", "95% interval", "p (Holm)"), words=2)
        for number, difference in enumerate(compared):
            again = number > 0 and compared[number - 1].experiment == difference.experiment
            apart.add_row("" if again else difference.experiment, *difference.cells())
        console.print()
        console.print(apart)
    cost = _table("cost of training", ("experiment", "KL(θ‖init), nats", *COSTS), words=1)
    for name, found in results.items():
        cost.add_row(name, *costs(found))
    console.print()
    console.print(cost)


def _table(title: str, headings: Sequence[str], words: int) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < words else "right", overflow="fold")
    return table
