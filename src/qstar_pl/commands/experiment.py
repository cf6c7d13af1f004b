"""`qstar experiment`: run a matrix of methods, variants and seeds at one budget.

Without a name it lists the experiments. Every cell is an ordinary `qstar fit` in a process of its own; the same command
goes on after a kill, never repeats what has finished, here or in another experiment, and runs anew what has changed. It
ends in a folder with results.json, curves.parquet, times.parquet and tables. With --config, configurations are compared
that no experiment lists; options that are not among these go to all runs then.

    qstar experiment
    qstar experiment mvp
    qstar experiment main --variant full --rehearse
    qstar experiment main --variant full --launcher slurm
    qstar experiment mvp --launcher "ssh host {quoted}"
    qstar experiment --config experiment/tiny_q_star --config experiment/tiny_dpo
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.cells import resolved
from qstar_pl.cli.shipped import FOLDER, configuration
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.experiments import places
from qstar_pl.experiments.matrix import Experiment, check_cells, code_version, read_experiment, with_stages
from qstar_pl.experiments.matrix.by_hand import by_hand
from qstar_pl.experiments.matrix.listing import listing
from qstar_pl.experiments.matrix.reading import VARIANTS
from qstar_pl.locks import Lock
from qstar_pl.run_folders.places import LOCK
from qstar_pl.spelling import counted

if TYPE_CHECKING:
    from qstar_pl.experiments.running.planned import PlannedRun
    from qstar_pl.experiments.running.reuse import Reuse

GROUP = "train"
"""Below which heading `qstar --help` lists it."""

EXPERIMENTS = FOLDER / "experiments"
SOME_FAILED = 1
MOST_SEEDS = 10_000
"""More are a slip of the keyboard."""


def seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that an option names: how many, from 0 on, or which ones."""
    try:
        found = [int(one) for one in text.removesuffix(",").split(",")]  # "5," is seed 5
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be how many seeds, or which ones (5,6,7), got {text}") from error
    if "," in text:
        if min(found) < 0 or len(set(found)) < len(found):
            raise argparse.ArgumentTypeError(f"must be different seeds from 0 on, got {text}")
        return tuple(found)
    if found[0] < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    if found[0] > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_SEEDS}, got {text}")
    return tuple(range(found[0]))


def parser() -> ToolParser:
    """Return the command's parser."""
    made = ToolParser("qstar experiment", __doc__)
    made.add_argument("name", nargs="?", help="an experiment, or a YAML file of one; by default all are listed")
    made.add_argument("--variant", choices=VARIANTS, default="tiny", help="tiny (default): small models, here and now")
    made.add_argument(
        "--seeds", type=seeds, help="how many, from 0 on, or which ones: 5,6,7 (default: the experiment's)"
    )
    made.add_argument("--jobs", type=int, help="runs side by side (default: by cores if runs have a number of threads)")
    made.add_argument(
        "--output", type=place, help=f"folder for everything (default: {places.EXPERIMENTS}/NAME_VARIANT)"
    )
    made.add_argument("--launcher", default="local", help="local, slurm, or a template with {command} or {quoted}")
    made.add_argument("--dry_run", action="store_true", help="print what would be run, and why; write nothing")
    made.add_argument(
        "--rehearse",
        action="store_true",
        help="run one batch of every cell, here and now, with the tiny world's models and data put in; write nothing",
    )
    made.add_argument("--again", action="store_true", help="also run anew what ran with another version of the code")
    made.add_argument("--no_reuse", action="store_true", help="do not take over equal runs of other experiments")
    made.add_argument(
        "--reuse_from",
        type=place,
        action="append",
        help="folder with results folders, whose equal runs are taken over too (beside that of --output); repeatable",
    )
    made.add_argument("--no_tune", action="store_true", help="leave out what `tune` of the experiment asks for")
    made.add_argument("--config", action="append", help="compare these files or names instead; repeatable")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    given, words = parser().parse_known_args(argv)
    from qstar_pl.experiments.running.launcher import Settled, launcher

    started_by = launcher(given.launcher)
    if given.jobs is not None:
        at_least(1, jobs=given.jobs)
    if given.name is None and not given.config:
        if words:
            raise UserError(
                f"name must be given before options of runs, got {words[0]}; qstar experiment lists them all"
            )
        print(listing(sorted(EXPERIMENTS.glob("*.yaml")), configuration))
        return 0
    if given.no_reuse and given.reuse_from:
        raise UserError(f"reuse_from must not be given with --no_reuse, got {given.reuse_from[0]}")
    if given.rehearse and given.dry_run:
        raise UserError("rehearse must not be given with --dry_run, which runs nothing")
    for folder in given.reuse_from or ():
        if not folder.is_dir():
            raise UserError(f"reuse_from must be a folder with results folders, got {folder}")
    experiment = _tuned_or_not(_experiment(given, words), given)
    if given.rehearse:
        return _rehearsed(experiment)
    output = given.output or places.EXPERIMENTS / f"{experiment.name}_{experiment.variant}"
    code = code_version()
    settings = with_stages(experiment.cells, resolved(experiment))
    score = None if experiment.budget is None else experiment.evaluation.score  # by hand, anything is compared
    check_cells(experiment, settings, score)
    from qstar_pl.experiments.running.planned import kept, plan, prepare
    from qstar_pl.experiments.running.reuse import Reuse, take_over
    from qstar_pl.experiments.tuning.tuning import Tuning

    seeds = given.seeds or experiment.seeds
    tuning = Tuning.of(experiment, settings, output, code)
    runs = plan(experiment, settings, seeds, output, code)
    earlier = kept(experiment, settings, runs, output, code)
    reuse = Reuse([] if given.no_reuse else [output.parent, *(given.reuse_from or ())])
    print("\n".join(_heading(experiment, runs, output)), flush=True)
    if earlier:
        print(f"  kept from earlier starts: seeds {', '.join(map(str, sorted({run.seed for run in earlier})))}")
    if given.dry_run:
        for run in [*runs, *([] if tuning is None else [*tuning.runs, *tuning.tuned(seeds)])]:
            print(f"  {run.name} ({_what_is_due(run, reuse)})\n    {run.command}")
        return 0
    started_by.check()
    lock = Lock.acquire(output / LOCK, f"output must be one that no other experiment writes into, got {output}")
    try:
        settled = Settled(*_share(given.jobs, experiment), experiment.name, output, experiment.slurm, reuse)

        def start(planned: Sequence[PlannedRun]) -> None:
            todo, said = prepare(planned, given.again)
            if len(todo) < len(planned):
                said.append(f"{len(planned) - len(todo)} of {len(planned)} runs have finished and are not repeated")
            todo, taken = take_over(todo, reuse)
            print("".join(f"  {line}\n" for line in [*said, *taken]), end="", flush=True)
            if todo:
                started_by.start(todo, settled, lambda line: print(f"  {line}", flush=True))

        try:
            start([*runs, *([] if tuning is None else tuning.runs)])
            if tuning is not None:
                print("".join(f"  {line}\n" for line in tuning.lines()), end="", flush=True)
                start(tuning.tuned(seeds))
                if len(tuning.lines()) < len(experiment.cells):
                    print("  cells are run tuned once their sweeps have ended: the same command goes on", flush=True)
        finally:
            from qstar_pl.experiments.results.summary import summarize

            tuned = [] if tuning is None else [*tuning.tuned(seeds), *tuning.kept(seeds)]
            every = sorted([*runs, *earlier, *tuned], key=lambda run: run.seed)
            failed = summarize(experiment, every, output, None if tuning is None else tuning.record())
    except (KeyboardInterrupt, SystemExit):
        print("stopped; the same command goes on", file=sys.stderr)
        raise
    finally:
        lock.release()
    return SOME_FAILED if failed else 0


def _experiment(given: argparse.Namespace, words: Sequence[str]) -> Experiment:
    if given.config:
        if given.name is not None:
            raise UserError(f"name must not be given with --config, got {given.name}")
        return by_hand([configuration(one) for one in given.config], words, given.seeds or (0, 1, 2))
    if words:
        _refuse_misspelled(words[0])
        raise UserError(f"options of runs must stand in the experiment's file, or follow --config, got {words[0]}")
    file = Path(given.name)
    if not file.is_file():
        file = EXPERIMENTS / f"{given.name.removeprefix('experiments/').removesuffix('.yaml')}.yaml"
    if not file.is_file():
        from difflib import get_close_matches

        names = sorted(one.stem for one in EXPERIMENTS.glob("*.yaml"))
        near = get_close_matches(given.name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"name must be a file or one of {', '.join(names)}, got {given.name}{hint}")
    return read_experiment(file, given.variant, configuration)


def _rehearsed(experiment: Experiment) -> int:
    """Say of every cell whether one batch of it ran; return the exit code."""
    from qstar_pl.cli.rehearsal import rehearse

    failed = False
    for one in rehearse(experiment):
        failed |= one.mistake is not None
        print(f"  {one.cell.name}: {one.mistake or 'ran'}", flush=True)
    return SOME_FAILED if failed else 0


def _tuned_or_not(experiment: Experiment, given: argparse.Namespace) -> Experiment:
    """Return what is run: with the factor "tuned" if something is tuned, and else without a sweep."""
    from qstar_pl.experiments.tuning.tuning import with_tuned

    if given.no_tune or experiment.tune is None:
        return replace(experiment, tune=None)
    if both := sorted(set(experiment.tune.seeds) & set(given.seeds or ())):
        raise UserError(f"seeds must be others than the sweep's of {experiment.tune.where}, got {both[0]} in both")
    return with_tuned(experiment)


def _refuse_misspelled(word: str) -> None:
    """Leave with one line if a word is no option at all, or resembles one of this command."""
    from difflib import get_close_matches

    own = parser()
    option = word.partition("=")[0]
    known = [name for action in own._actions for name in action.option_strings]
    if not word.startswith("-") or ("." not in option and get_close_matches(option, known, n=1, cutoff=0.7)):
        own.error(f"unrecognized arguments: {option}")


def _what_is_due(run: PlannedRun, reuse: Reuse) -> str:
    """Return what a run's folder shows, and what would be done about it."""
    if run.state == "changed":
        return f"changed: {run.why_changed()}"
    equal = reuse.find(run)
    return run.state if equal is None else f"{run.state}: would be taken over from {equal.place}"


def _share(jobs: int | None, experiment: Experiment) -> tuple[int, int]:
    """Return how many runs go side by side, and the threads of each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs is None:
        jobs = 1 if experiment.threads is None else max(1, cores // experiment.threads)
    threads = max(1, cores // jobs)
    return jobs, threads if experiment.threads is None else min(threads, experiment.threads)


def _heading(experiment: Experiment, runs: Sequence[PlannedRun], output: Path) -> list[str]:
    """Return what is about to be done."""
    budget = "" if experiment.budget is None else f", {experiment.budget} each"
    cells, seeds = len(experiment.cells), len(runs) // len(experiment.cells)
    count = f"{counted(cells, 'cell')} × {counted(seeds, 'seed')} = {counted(len(runs), 'run')}{budget}"
    sets = len({run.settings.held_out for run in runs})
    same = "the same for all cells" if sets == 1 else f"{sets} different sets"
    stages = sum(cell.is_stage for cell in experiment.cells)
    chained = [f"  {counted(stages, 'cell')} of them: stages that others start from, and share their budget with"]
    swept = [] if experiment.tune is None else [f"  {experiment.tune.said(cells)}; --no_tune leaves both out"]
    return [
        f"{experiment.name} ({experiment.variant}): {experiment.title}",
        f"  {count}",
        *(chained if stages else []),
        *swept,
        f"  held-out prompts: {same}; code {runs[0].code}; everything in {output}",
    ]


if __name__ == "__main__":
    sys.exit(main())
