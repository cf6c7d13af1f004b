"""`qstar report`: what experiments found, as one page with figures and tables.

    qstar report mvp                             # runs/experiments/mvp_tiny
    qstar report main alpha --output answers     # both on one page
    qstar report runs/experiments                # every experiment in a folder
    qstar report mvp --output kept --keep        # with its data and what was kept
    qstar report kept/data --output kept         # the same from the data alone

The page, index.html, needs no other file and no network; beside it lie tables.md, tables.tex and
figures/ (SVG and PNG).
`qstar experiment` ends with the same report.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.experiments.places import DATA, EXPERIMENTS, REPORT, RESULTS
from qstar_pl.spelling import counted

GROUP = "look"
"""Below which heading `qstar --help` lists it."""


def parser() -> ToolParser:
    """Return the command's parser."""
    made = ToolParser("qstar report", __doc__)
    made.add_argument(
        "runs",
        nargs="+",
        help=f"folders with {RESULTS}, folders of such folders, or names of experiments that have run",
    )
    made.add_argument(
        "--folder",
        type=place,
        default=EXPERIMENTS,
        help=f"where experiments are looked for by name (default {EXPERIMENTS})",
    )
    made.add_argument(
        "--output",
        type=place,
        help=f"folder for the report (default: {REPORT} in the folder that is given, of several in --folder)",
    )
    made.add_argument(
        "--keep",
        action="store_true",
        help=f"copy what the report reads to {DATA} in --output, 5 to 10 kB a run, and report on all kept there",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    given = parser().parse_args(argv)
    places = list(dict.fromkeys(one for word in given.runs for one in found(word, given.folder)))
    from qstar_pl.experiments.report.reading import read_several
    from qstar_pl.experiments.report.report import write_report

    experiments = {one.folder.resolve(): one for where in places for one in read_several(where)}
    output = given.output or (places[0] if len(places) == 1 else given.folder) / REPORT
    if given.keep:
        from qstar_pl.experiments.report.kept import keep

        keep(list(experiments.values()), output / DATA)
        experiments = {one.folder: one for one in read_several(output / DATA)}
    page = write_report(list(experiments.values()), output)
    print(f"report of {counted(len(experiments), 'experiment')}: {page}")
    return 0


def found(word: str, root: Path) -> list[Path]:
    """Return the folders that a word names: itself, or `root/WORD` or `root/WORD_VARIANT`.

    Raises:
        UserError: if there is none.

    """
    if Path(word).is_dir():
        return [Path(word)]
    named = [file.parent for file in sorted(root.glob(f"*/{RESULTS}"))]
    fitting = [one for one in named if word in (one.name, one.name.rpartition("_")[0])]
    if not fitting:
        from difflib import get_close_matches

        names = [one.name for one in named]
        near = get_close_matches(word, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        there = f"{root} holds {', '.join(names)}" if names else f"{root} holds none"
        raise UserError(
            f"runs must be folders with {RESULTS}, or experiments that have run, got {word}{hint} ({there})"
        )
    return fitting


if __name__ == "__main__":
    sys.exit(main())
