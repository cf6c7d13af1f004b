"""`qstar experiment`: compare configurations under the same seeds in a table.

Options that are not listed here go to every run, as for `qstar fit`. Started again, the same command goes on: runs that
have finished are not repeated unless a file that they name has changed, one that was interrupted begins anew. One that
fails does not keep the others from running; the exit code is 1 then. Beside the runs it writes results.csv, results.md,
results.json and experiment.png.

    qstar experiment
    qstar experiment --config experiment/tiny_q_star --seeds 5
    qstar experiment --seeds 1 --trainer.max_steps 50
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.errors import MISTAKE, explain, say
from qstar_pl.cli.shipped import configuration, names
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.experiments.comparison import COSTS, Results, as_csv, as_markdown, changes, costs
from qstar_pl.experiments.comparison_figure import save_comparison
from qstar_pl.experiments.kept import Planned, time_left
from qstar_pl.experiments.seeds import SeedResult
from qstar_pl.files import write_text
from qstar_pl.run_folders.table import span

if TYPE_CHECKING:
    from rich.table import Table

    from qstar_pl.console import SpellingConsole

GROUP = "train"
"""Below which heading `qstar --help` lists it."""

DEFAULT = "experiment/tiny_"
"""Prefix of the names of the configurations that are compared by default."""
OUTPUT = Path("runs/experiment")
SOME_FAILED = 1
FAILURES = (Exception, SystemExit)
"""What a run may end with; a mistake in its words is a SystemExit of the parser."""


@dataclass
class Progress:
    """The runs of an experiment, those that have ended among them."""

    planned: Sequence[Planned]
    ended: dict[Planned, SeedResult] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """One line each."""

    @property
    def results(self) -> dict[str, list[SeedResult]]:
        """The results by configuration and in the order of the seeds."""
        found = dict[str, list[SeedResult]]()
        for run in self.planned:
            if run in self.ended:
                found.setdefault(run.name, []).append(self.ended[run])
        return found

    @property
    def taken(self) -> dict[str, list[float]]:
        """Seconds of the runs that have finished, by configuration."""
        return {name: [one.seconds for one in seeds] for name, seeds in self.results.items()}

    def heading(self, number: int) -> str:
        """Return e.g. "run 2 of 4 (tiny_dpo, seed 1), about 3 min left" for the run of a number, from 0."""
        run = self.planned[number]
        left = time_left([one for one in self.planned[number:] if one not in self.ended], self.taken)
        about = "" if left is None else f", about {span(left)} left"
        return f"run {number + 1} of {len(self.planned)} ({run.name}, seed {run.seed}){about}"


def parser() -> ToolParser:
    """Return the command's parser."""
    made = ToolParser("qstar experiment", __doc__)
    made.add_argument(
        "--config", action="append", help=f"file or name, may be given several times; default: all {DEFAULT}*"
    )
    made.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 on")
    made.add_argument("--output", type=place, default=OUTPUT, help="folder for runs, results and figure")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    given, overrides = parser().parse_known_args(argv)
    at_least(1, seeds=given.seeds)
    wanted = given.config or [name for name in names() if name.startswith(DEFAULT)]
    configs = [configuration(config) for config in wanted]
    if again := [name for name, count in Counter(config.stem for config in configs).items() if count > 1]:
        raise UserError(f"config must be files of different names, by which runs are called, got {again[0]} twice")
    progress = Progress(
        [
            Planned(one, seed, given.output / one.stem, tuple(overrides))
            for one in configs
            for seed in range(given.seeds)
        ]
    )
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        run_all(progress)
    except (KeyboardInterrupt, SystemExit):
        count = f"{len(progress.ended)} of {len(progress.planned)} runs"
        print(f"\nstopped with {count} finished; the same command goes on with the others", file=sys.stderr)
        raise
    finally:
        write(progress.results, given.output)
    return report(progress, given.output)


def run_all(progress: Progress) -> None:
    """Run what has not finished before; a run that fails is noted."""
    progress.ended |= {run: kept for run in progress.planned if (kept := run.kept()) is not None}
    if progress.ended:
        count = f"{len(progress.ended)} of {len(progress.planned)} runs"
        where = next(iter(progress.ended)).result
        print(f"{count} have finished before and are not repeated (to repeat one, delete its {where.name}, as in")
        print(f"{where.parent})", flush=True)
    wrong = set[str]()
    run_one: Callable[[Planned], SeedResult] | None = None
    for number, run in enumerate(progress.planned):
        if run in progress.ended or run.name in wrong:
            continue
        print(progress.heading(number), flush=True)
        run_one = run_one or runner()
        try:
            fingerprint = run.fingerprint()
            result = run_one(run)
        except FAILURES as error:
            if isinstance(error, SystemExit):
                from qstar_pl.cli.parser import UnknownOptionExit  # there already: some parser has refused its words

                if error.code != MISTAKE or isinstance(error, UnknownOptionExit):
                    raise  # Ctrl-C, a signal, or a word that no configuration makes an option
                wrong.add(run.name)  # its other seeds get the same words
            progress.failed.append(f"{run.name}, seed {run.seed}: {said(error)}")
            continue
        run.keep(result, fingerprint)
        progress.ended[run] = result


def runner() -> Callable[[Planned], SeedResult]:
    """Return what runs a planned run; imports what that needs."""
    import torch

    from qstar_pl.cli.build import build
    from qstar_pl.experiments.seeds import run_seed

    torch.set_num_threads(1)  # see quickstart: these models are too small for more
    return lambda run: run_seed(build, run.seed, run.config, run.folder, run.overrides)


def said(error: BaseException) -> str:
    """Return why a run failed in one line, and print it; with a traceback if it is no mistake of the user's."""
    if isinstance(error, SystemExit):  # the parser has printed its line
        return "not a valid configuration, see above; its other seeds were not tried"
    line = explain(error) if isinstance(error, Exception) else None
    if line is None:
        traceback.print_exception(error)
        return f"{type(error).__name__}, see above"
    say(line)
    return line


def write(results: Results, folder: Path) -> None:
    """Write the results: all of them as JSON, a table of every seed as CSV, one of the means as Markdown."""
    if not results:
        return
    kept = {name: [asdict(seed) for seed in seeds] for name, seeds in results.items()}
    for name, text in (
        ("results.json", json.dumps(kept)),
        ("results.csv", as_csv(results)),
        ("results.md", _tables(results)),
    ):
        write_text(folder / name, text)


def report(progress: Progress, folder: Path) -> int:
    """Print the table, what was written and what failed; return the exit code."""
    if progress.results:
        from qstar_pl.console import SpellingConsole

        print_comparison(progress.results, SpellingConsole())
        figure = folder / "experiment.png"
        drawn = [figure] if save_comparison(progress.results, figure) else []
        print(f"written: {', '.join(map(str, [folder / 'results.csv', folder / 'results.md', *drawn]))}")
        print(f"curves:  qstar curves {folder} --key val/reward_gold --band --output {folder / 'curves.png'}")
    for line in progress.failed:
        print(f"failed: {line}", file=sys.stderr)
    return SOME_FAILED if progress.failed else 0


def _tables(results: Results) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
