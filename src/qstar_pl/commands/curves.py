"""`qstar curves`: plot metrics of several runs against steps, samples or time.

    qstar curves tiny_dpo tiny_q_star --key val/reward_gold --output gold.png
    qstar curves 'runs/tiny_*' --key reward/gold --x samples/total --output a.png
    qstar curves runs/experiment --key reward/gold --band --output b.pdf

The x-axis is the optimizer step, or any metric that is logged in the same rows: the budgets `samples/total`,
`generated/total`, `tokens/total` and `time/wall_s` (seconds) mean the same for every method. Every --key has a panel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.checks import at_least
from qstar_pl.cli.tool_parser import ToolParser, figure, place
from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import STEP
from qstar_pl.experiments.curves import LoggedRun, Look, missing, save_curves
from qstar_pl.run_folders.find import runs_at
from qstar_pl.run_folders.labels import groups, labels
from qstar_pl.run_folders.metrics import Metrics, read_metrics
from qstar_pl.run_folders.places import METRICS, RUNS
from qstar_pl.run_folders.settings import read_settings

GROUP = "look"
"""Below which heading `qstar --help` lists it."""

LISTED = 5
"""Most runs that a notice names."""


def parser() -> ToolParser:
    """Return the command's parser."""
    made = ToolParser("qstar curves", __doc__)
    made.add_argument("runs", nargs="+", help="names, folders, wildcards, or metrics.csv of runs")
    made.add_argument("--key", action="append", required=True, help="metric, e.g. beta/mean; once per panel")
    made.add_argument(
        "--x", default="step", help="step (default), samples/total, generated/total, tokens/total, time/wall_s (s), …"
    )
    made.add_argument(
        "--smooth",
        type=int,
        default=1,
        help="mean of so many logged values; validation stays as it is (default 1)",
    )
    made.add_argument(
        "--band",
        action="store_true",
        help="mean ± 1 standard deviation over the seeds of a name (default: each run)",
    )
    made.add_argument(
        "--folder", type=place, default=Path(RUNS), help=f"where runs are looked for by name (default {RUNS})"
    )
    made.add_argument("--output", type=figure, required=True, help="figure: a .png, .pdf or .svg")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    given = parser().parse_args(argv)
    at_least(1, smooth=given.smooth)
    runs = logged_runs(given.runs, given.folder)
    keys = list(dict.fromkeys(given.key))
    for line in left_out(missing(runs, keys, given.x), given.x):
        print(line)
    save_curves(runs, keys, given.output, Look(given.x, given.smooth, given.band))
    print(f"figure: {given.output}")
    return 0


def left_out(lacking: Sequence[tuple[LoggedRun, str]], x: str) -> list[str]:
    """Return a line per metric that some runs do not have."""
    by_key: dict[str, list[str]] = {}
    for run, key in lacking:
        by_key.setdefault(key, []).append(run.label)
    beside = "" if x == STEP else f" beside {x}"
    return [f"left out, since they have no {key}{beside}: {listed(names)}" for key, names in by_key.items()]


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many others there are."""
    more = len(names) - LISTED
    return "; ".join([*names[:LISTED], f"{more} more"] if more > 1 else names)


def logged_runs(words: Sequence[str], root: Path) -> list[LoggedRun]:
    """Return the runs that words name, with their metrics; says of which it finds none.

    Raises:
        UserError: if a word names no run, or none of them has a metrics.csv.

    """
    files = list[Path]()
    for word in words:
        if Path(word).is_file() and Path(word).suffix == ".csv":  # any other file may lie in a run's folder
            files.append(Path(word))
            continue
        found = runs_at([word], root)
        files += [folder / METRICS for folder in found.folders]
        for notice in found.notices:
            print(f"notice: {notice}", file=sys.stderr)
    files = list({file.resolve(): file for file in files}.values())
    read = dict[Path, Metrics]()
    for file in files:
        try:
            read[file] = read_metrics(file)
        except UserError as error:
            print(f"left out: {error}")
    if not read:
        raise UserError(f"runs must have logged something, got {', '.join(words)}")
    # A file of another name beside metrics.csv, or of another program, is told apart by its own.
    places = [file.absolute().parent if file.name == METRICS else file.absolute().with_suffix("") for file in read]
    seeds = [_seed(file.parent) for file in read]
    named = zip(labels(places, seeds), groups(places), seeds, read.values(), strict=True)
    return [LoggedRun(label, group, seed, metrics) for label, group, seed, metrics in named]


def _seed(folder: Path) -> int | None:
    try:
        return read_settings(folder).seed
    except UserError:
        return None


if __name__ == "__main__":
    sys.exit(main())
