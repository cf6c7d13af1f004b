"""`qstar configs`: list, print or copy the configurations that come with the package.

They are values of --config, or of the option that is called like their folder, e.g.
--model.target configs/target/expert.yaml.

    qstar configs experiment
    qstar configs experiment/quickstart
    qstar configs --copy my_configs
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from qstar_pl.cli import shipped
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.files import replacing

GROUP = "set-up"
"""Below which heading `qstar --help` lists it."""

COMMENT = "# "


def listing(wanted: Sequence[str] = ()) -> str:
    """Return a line per configuration, grouped by folder, with its summary; experiments only if they are asked for."""
    lines = list[str]()
    # `groupby` needs equal groups to be adjacent: the names are sorted.
    for group, members in groupby(shipped.names(), lambda name: name.partition("/")[0]):
        if group not in wanted if wanted else group == shipped.EXPERIMENTS:
            continue
        lines += [f"{name:<40} {summary(name)}".rstrip() for name in members] + [""]
    return "\n".join(lines).rstrip()


def summary(name: str) -> str:
    """Return the first sentence of the comment on a configuration's first line; empty if there is none."""
    first = shipped.configuration(name).read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix(COMMENT).partition(". ")[0] if first.startswith(COMMENT) else ""


def copy(folder: Path) -> Path:
    """Copy all of them to a new folder, where they refer to each other as they do here.

    Raises:
        UserError: if the folder exists, since nothing of the user's is overwritten.

    """
    if folder.exists():
        raise UserError(f"copy must name a folder that does not exist yet, got {folder}")
    try:
        with replacing(folder) as beside:
            shutil.copytree(shipped.FOLDER, beside)
    except (OSError, shutil.Error) as error:
        # The many errors of `copytree` are one that has no words of its own.
        what = error.strerror or (error.args[0][0][2] if isinstance(error, shutil.Error) else error)
        raise UserError(f"copy must name a folder that can be written, got {folder}: {what}") from error
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser("qstar configs", __doc__)
    parser.add_argument(
        "name", nargs="?", help="a folder (experiment) to list, or a configuration to print; by default all are listed"
    )
    parser.add_argument(
        "--copy", type=place, metavar="FOLDER", help="copy all of them to this new folder; by default nothing is copied"
    )
    arguments = parser.parse_args(argv)
    if arguments.copy is not None:
        print(f"copied to {copy(arguments.copy)}; use them with --config {arguments.copy}/experiment/quickstart.yaml")
    elif arguments.name is None or (shipped.FOLDER / arguments.name).is_dir():
        print(listing([] if arguments.name is None else [Path(arguments.name).name]))
        if arguments.name is None:
            print("\nqstar experiment lists matrices over many runs, of the folder experiments")
    else:
        print(shipped.configuration(arguments.name).read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
