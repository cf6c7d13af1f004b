"""The `qstar` command: finds the requested command and runs it.

Nothing heavy is imported here, so that `qstar --help` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from qstar_pl import __version__
from qstar_pl.cli.errors import one_line_errors
from qstar_pl.cli.help_pages import shown
from qstar_pl.cli.readerless import outlive_readers
from qstar_pl.cli.words import command_among
from qstar_pl.errors import UserError
from qstar_pl.spelling import make_printable

FOLDER = Path(__file__).resolve().parents[1] / "commands"
"""Every file in it is a command: its first line says what it does, its `GROUP` below which heading it is listed, its
`main(argv: Sequence[str]) -> int` does it."""
GROUP = "qstar_pl.commands"
"""Entry point group through which other packages add commands: the name of the command → its `main`."""
TRAINER_COMMANDS = ("fit", "validate", "test", "predict")
"""The commands of Lightning's own command line."""


HEADINGS = {
    "train": "train",
    "generate": "generate and export",
    "look": "measure and look at what came out",
    "data": "data",
    "set-up": "set up",
}
"""What a command's `GROUP` names → its heading in `qstar --help`, in this order."""
_GROUP = re.compile(r'^GROUP = "([\w-]+)"$', re.MULTILINE)
AFTERWARDS = (
    "qstar COMMAND --help shows a command's options, with examples.",
    "qstar fit --model.help shows the methods, and the options of the chosen one;",
    "likewise --model.sampler.help, --data.adapter.help, --trainer.callbacks.help.",
    "qstar fit --print_config prints what a run would use.",
    "QSTAR_DEBUG=1 shows the traceback behind a one-line error.",
)


def commands() -> dict[str, str]:
    """Return every command's name and what it does."""
    files = sorted(file for file in FOLDER.glob("*.py") if not file.stem.startswith("_"))
    return {file.stem.replace("_", "-"): _summary(file) for file in files}


def others() -> dict[str, EntryPoint]:
    """Return the commands that other installed packages bring; they cannot replace one of this package."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in commands()}


def module_of(command: str) -> str:
    """Return the dotted path of a command's module."""
    return f"qstar_pl.commands.{command.replace('-', '_')}"


def _summary(file: Path) -> str:
    """Return what the first line of a file says after the command's name."""
    # Read as text, since importing a command may import torch.
    with file.open(encoding="utf-8") as lines:
        return lines.readline().strip().strip('"').partition(": ")[2].removesuffix(".")


def group_of(command: str) -> str:
    """Return the group that a command's file names; those that name none are tools."""
    text = (FOLDER / f"{command.replace('-', '_')}.py").read_text(encoding="utf-8")
    return match[1] if (match := _GROUP.search(text)) else "tools"


def usage() -> str:
    """Return what `qstar --help` prints."""
    known = commands()
    groups: dict[str, list[str]] = {group: [] for group in HEADINGS}
    for name in known:
        groups.setdefault(group_of(name), []).append(name)
    lines = ["usage: qstar COMMAND [options]", "", "Which distribution should RLHF sample from? Train, generate, look."]
    for group, names in groups.items():
        lines += ["", f"{HEADINGS.get(group, group)}:", *(_line(name, known[name]) for name in names)]
    if theirs := others():
        lines += ["", "commands of other packages:", *(_line(name, theirs[name].value) for name in sorted(theirs))]
    return "\n".join([*lines, "", *AFTERWARDS])


def _line(name: str, summary: str) -> str:
    return textwrap.fill(summary, 79, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)


def _dispatch(argv: Sequence[str]) -> int:
    if not argv:
        print(usage(), file=sys.stderr)
        return 2
    if argv[0] == "help" and len(argv) > 1:
        return _dispatch([*argv[1:], "--help"])
    if argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"qstar {__version__}")
        return 0
    if argv[0] in commands():
        code: int = importlib.import_module(module_of(argv[0])).main(argv[1:])
        return code
    # Lightning's own form `qstar --config all.yaml fit` also starts with an option.
    if argv[0].startswith("-") and command_among(argv, TRAINER_COMMANDS):
        from qstar_pl.cli.trainer import run_trainer

        run_trainer(argv)
        return 0
    if (theirs := others().get(argv[0])) is not None:
        # A `main` that returns nothing counts as successful.
        return int(theirs.load()(argv[1:]) or 0)
    known = [*TRAINER_COMMANDS, *(name for name in (*commands(), *others()) if name not in TRAINER_COMMANDS)]
    near = difflib.get_close_matches(argv[0], known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"unknown command {argv[0]!r}; {hint}known: {', '.join(known)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 2 for a mistake of the user, 130 if interrupted.

    Args:
        argv: the words after `qstar`; None: those of this process.

    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        outlive_readers()
    make_printable()
    if "" not in sys.path:
        sys.path.append("")  # finds classes in the user's own files; last, so that they hide no installed package
    # In a process that does more than this command, imports of others could be among the classes that help lists.
    own_process = argv is None and words[:1] != [] and words[0] in commands()
    run = (lambda: shown(words, lambda: _dispatch(words))) if own_process else (lambda: _dispatch(words))
    return one_line_errors(run, words)
