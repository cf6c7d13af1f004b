"""The `qstar` command: `fit`, `validate`, `test` and `predict` through Lightning, and the project's own tools.

Nothing heavy is imported here, so that `qstar --help` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl import __version__
from qstar_pl.commandline.errors import one_line_errors
from qstar_pl.errors import UserError


@dataclass(frozen=True)
class Command:
    """A subcommand that is not Lightning's."""

    name: str
    module: str
    """Holds `main(argv: Sequence[str]) -> int`."""
    summary: str


COMMANDS = (
    Command("analyze", "qstar_pl.generation.analyze", "what the diagnostics of generated data show, checks, figures"),
    Command("configs", "qstar_pl.commandline.configs", "list, print or copy the configurations that come with it"),
    Command("curves", "qstar_pl.experiments.curves", "plot a metric of several runs against steps, samples or time"),
    Command("data", "qstar_pl.commandline.data", "rows, fields and examples that an adapter finds in a dataset"),
    Command("experiment", "qstar_pl.experiments.comparison", "several configurations under the same seeds, one table"),
    Command(
        "export",
        "qstar_pl.commandline.export",
        "write a checkpoint's model as a folder that Hugging Face's classes load",
    ),
    Command(
        "generate", "qstar_pl.generation.command", "answers of π_θ or of its mixture with π_t to a data set's prompts"
    ),
    Command("pass-at-k", "qstar_pl.evaluation.code", "run sampled programs against their tests, in a sandbox: pass@k"),
    Command("plan", "qstar_pl.planning.command", "memory, tokens/s and hours of a `fit` on a cluster, beforehand"),
    Command(
        "quickstart", "qstar_pl.experiments.quickstart", "train q* on the tiny world, print a summary, save a figure"
    ),
    Command(
        "theory", "qstar_pl.theory.pair", "mean α, ESS ratio and acceptance under q* for two models, beside float64"
    ),
    Command("tiny-world", "qstar_pl.experiments.tiny_world", "rebuild the tiny world: its data, tokenizer and models"),
)
TRAINER_COMMANDS = {
    "fit": "train a method",
    "validate": "report on the validation split",
    "test": "report on the test split",
    "predict": "write answers of a trained policy",
}


def usage() -> str:
    """Return what `qstar --help` prints."""
    lines = [
        "usage: qstar COMMAND [options]",
        "",
        "Training (options of Lightning, from YAML with --config or by name):",
    ]
    lines += [f"  {name:<12}{summary}" for name, summary in TRAINER_COMMANDS.items()]
    lines += ["", "Tools:"]
    lines += [f"  {command.name:<12}{command.summary}" for command in COMMANDS]
    lines += [
        "",
        "qstar COMMAND --help lists the options of a command; qstar fit --print_config prints what a run would use.",
        "QSTAR_DEBUG=1 shows the traceback behind a one-line error.",
    ]
    return "\n".join(lines)


def _own(argv: Sequence[str]) -> int:
    command = next(command for command in COMMANDS if command.name == argv[0])
    code: int = importlib.import_module(command.module).main(argv[1:])
    return code


def _trainer(argv: Sequence[str]) -> int:
    from qstar_pl.commandline.trainer import run_trainer

    run_trainer(argv)
    return 0


def _dispatch(argv: Sequence[str]) -> int:
    if not argv:
        print(usage(), file=sys.stderr)
        return 2
    if argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"qstar {__version__}")
        return 0
    if any(argv[0] == command.name for command in COMMANDS):
        return _own(argv)
    # Lightning's own form `qstar --config all.yaml fit` also starts with an option.
    if argv[0] in TRAINER_COMMANDS or (argv[0].startswith("-") and any(word in TRAINER_COMMANDS for word in argv)):
        return _trainer(argv)
    known = [*TRAINER_COMMANDS, *(command.name for command in COMMANDS)]
    near = difflib.get_close_matches(argv[0], known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"unknown command {argv[0]!r}; {hint}known: {', '.join(known)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 a mistake of the user's, 130 interrupted.

    Args:
        argv: the words after `qstar`; None takes them from the process.

    """
    words = list(sys.argv[1:] if argv is None else argv)
    if "" not in sys.path:
        sys.path.append("")  # class paths of the user's own files; behind the installed packages, so none is hidden
    return one_line_errors(lambda: _dispatch(words))
