"""`qstar runs`: list runs and how they go: method, data, step, state, last metrics.

Nothing that trained them is loaded. States: running (a live process holds the folder), finished, killed (its process is
gone), stopped (ended before its last step, by Ctrl-C, a signal or an error), measured (by validate, test or predict).

    qstar runs                     # below runs/, the one that wrote last first
    qstar runs --state running --state killed --since 2d
    qstar runs --method QStar --sort val/reward_gold --limit 10
    qstar runs show tiny_dpo       # one: configuration, checkpoints, best metrics
    qstar runs --json
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from qstar_pl.checks import at_least
from qstar_pl.cli.layers.defaults import TRAINER
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.run_folders.choice import Choice, columns_of, ordered, time_since
from qstar_pl.run_folders.details import details
from qstar_pl.run_folders.find import name_of, runs_at, runs_below
from qstar_pl.run_folders.places import RUNS
from qstar_pl.run_folders.record import STATES, Record
from qstar_pl.run_folders.table import runs_table

GROUP = "look"
"""Below which heading `qstar --help` lists it."""

USUAL = ("val/reward_gold", "reward/gold", "loss/total", "val/preference_accuracy", "val/perplexity")
"""Metrics that are shown if none are named, as far as there are."""
SHOWN = 3
"""How many of them."""
MOST = 50
"""Default of --limit."""


def parser() -> ToolParser:
    """Return the parser of the list."""
    made = ToolParser("qstar runs", __doc__)
    made.add_argument("folder", type=place, nargs="?", default=Path(RUNS), help=f"where to look (default {RUNS})")
    made.add_argument(
        "--name",
        action="append",
        default=[],
        help="only runs of this name, or wildcard such as 'tiny_*' (default: any); repeatable",
    )
    made.add_argument(
        "--method", action="append", default=[], help="only runs of this method, such as DPO (default: any); repeatable"
    )
    made.add_argument(
        "--state",
        action="append",
        default=[],
        choices=STATES,
        help="only runs in this state (default: any); repeatable",
    )
    made.add_argument(
        "--since", help="only runs that wrote something within 90min, 3h, 2d, or since a date (default: ever)"
    )
    made.add_argument(
        "--metric", action="append", default=[], help="metric to show (default: rewards, loss, accuracy); repeatable"
    )
    made.add_argument(
        "--sort",
        default="active",
        help="active, started, step, name, method, state, or a metric, highest first",
    )
    made.add_argument(
        "--reverse", action="store_true", help="sort the other way round (default: newest or highest first)"
    )
    made.add_argument("--limit", type=int, default=MOST, help=f"most runs to list (default {MOST}; 0: all)")
    made.add_argument(
        "--json",
        action="store_true",
        help="print a list as JSON, with the last value of every metric (default: a table)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["show"]:
        return show(words[1:])
    given = parser().parse_args(words)
    at_least(0, limit=given.limit)
    if not given.folder.exists() and given.folder == Path(RUNS):
        print("[]" if given.json else f"no runs in {RUNS} yet: qstar fit begins one")
        return 0
    if not given.folder.is_dir():
        raise UserError(f"folder must be one in which runs lie, got {given.folder}, which is none")
    since = {} if given.since is None else {"since": time_since(given.since)}
    choice = Choice(tuple(given.method), tuple(given.state), tuple(given.name), **since)
    found = runs_below(given.folder)
    wanted = {*given.metric, given.sort} if given.metric else {*USUAL, given.sort}
    every = [Record.read(folder, given.folder, wanted) for folder in found.folders]
    runs = ordered([run for run in every if choice.takes(run)], given.sort, reverse=given.reverse)
    shown = runs[: given.limit or None]
    for notice in [*found.notices, *(line for run in shown for line in run.notices)]:
        print(f"notice: {notice}", file=sys.stderr)
    if given.json:
        print(json.dumps([as_json(run) for run in shown], indent=1))
    elif not shown:
        print(f"no runs in {given.folder}" if not every else f"none of the {len(every)} runs in {given.folder} is so")
    else:
        metrics = columns_of(shown, given.metric, USUAL, SHOWN)
        print(runs_table(shown, metrics, shutil.get_terminal_size().columns))
        if len(runs) > len(shown):
            print(f"{len(shown)} of {len(runs)} runs; --limit 0 lists all")
    return 0


def show(words: Sequence[str]) -> int:
    """Run `qstar runs show`."""
    made = ToolParser(
        prog="qstar runs show",
        description="Show one run: configuration where it differs from the defaults, checkpoints, metrics, what next.",
    )
    made.add_argument("run", help="name, name/version_N (default: the one that wrote last), or its folder")
    made.add_argument("--folder", type=place, default=Path(RUNS), help=f"where runs lie (default {RUNS})")
    made.add_argument(
        "--metric",
        action="append",
        default=[],
        help="metric to show (default: all of validation and some others); repeatable",
    )
    given = made.parse_args(words)
    found = runs_at([given.run], given.folder)
    if len({folder.parent for folder in found.folders}) > 1:
        names = ", ".join(name_of(folder, given.folder) for folder in found.folders[:8])
        raise UserError(f"run must name one run, got {given.run}, which stands for {len(found.folders)}: {names}, …")
    if not found.folders:
        raise UserError(f"run must be a folder that can be read, got {given.run}: {found.notices[0]}")
    runs = ordered([Record.read(folder, given.folder) for folder in found.folders], "active")
    print("\n".join(details(runs[0], given.metric, TRAINER)))
    if len(runs) > 1:
        print(f"\nother runs of this name: {', '.join(run.folder.name for run in runs[1:])}")
    return 0


def as_json(run: Record) -> dict[str, object]:
    """Return a run for scripts; times are seconds since 1970, numbers that JSON cannot hold are null."""
    metrics = {key: value if abs(value) < float("inf") else None for key, value in run.metrics.items()}
    return {
        "name": run.name,
        "folder": str(run.folder),
        "state": run.state,
        "step": run.step,
        **{key: value for key, value in asdict(run.settings).items() if key != "name"},
        "started": run.started,
        "active": run.active,
        "metrics": metrics,
    }
