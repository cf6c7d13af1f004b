"""The parser of commands whose options are those of classes; it reports a mistake in one line."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from qstar_pl.cli.config_files import check_config_files
from qstar_pl.cli.dispatch import TRAINER_COMMANDS
from qstar_pl.cli.errors import MISTAKE, chain, debugging, say, user_error
from qstar_pl.cli.messages import essence
from qstar_pl.cli.plug_ins import described, own_failure, own_traceback
from qstar_pl.cli.words import asks_for_help, command_among, underscored
from qstar_pl.errors import UserError

PRINT = "--print_config"
PRINT_FLAGS = {"": "", "comments": "with_comments", "skip_default": "skip_default", "skip_unset": "skip_unset"}
"""Value of `--print_config=` → argument of the parser's `dump`."""


def is_print_config(word: str) -> bool:
    """Return whether a word of the command line asks for the configuration."""
    return word.partition("=")[0] == PRINT


def print_flags(word: str) -> dict[str, bool]:
    """Return the arguments of `dump` that `--print_config` or `--print_config=flag,flag` asks for.

    jsonargparse prints what it has parsed, which is not what a run uses: names, loggers and callbacks follow from it.

    Raises:
        UserError: if a flag is unknown, or needs a package that is not there.

    """
    flags = word.partition("=")[2].split(",")
    for flag in flags:
        if flag not in PRINT_FLAGS:
            raise UserError(f"{PRINT} must be followed by {', '.join(sorted(PRINT_FLAGS)[1:])} or nothing, got {flag}")
    if "comments" in flags and find_spec("ruamel") is None:
        raise UserError(f"{PRINT}=comments needs the package ruamel.yaml: pip install ruamel.yaml")
    return {"skip_unset": False} | {PRINT_FLAGS[flag]: True for flag in flags if flag}


def prepared(words: Sequence[str]) -> list[str]:
    """Return the words with underscores in names of options, after setting what jsonargparse keeps for the process."""
    set_parsing_settings(
        # The help of a strategy's field is the docstring under it, for which jsonargparse parses source files: slow.
        docstring_parse_attribute_docstrings=asks_for_help(words),
        # Setting a denylist also turns on the parser's own one, of functions that would run whatever they are given.
        import_path_denylist=["os"],
    )
    return underscored(words)


class UnknownOptionExit(SystemExit):
    """Left because of a word that is no option, whatever the configuration."""


class OneLineParser(ArgumentParser):
    """A parser that takes options by their whole names only, and reports a mistake in one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_args(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Parse all words, after a look at the files that --config names."""
        check_config_files(sys.argv[1:] if args is None else args)
        return super().parse_args(args, *others, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the essence and leave with exit code 2; SystemExit, since jsonargparse rewraps ValueErrors."""
        if not self.exit_on_error:
            super().error(message, ex)
        if debugging():
            traceback.print_exception(ex) if ex else print(message, file=sys.stderr)
        own = user_error(ex) if ex is not None else None
        bug = own_failure(chain(ex)) if ex is not None and own is None else None
        if bug is not None:
            print(own_traceback(bug), end="", file=sys.stderr)
            own = described(bug)
        say(own if own is not None else essence(message, self._option_names()))
        raise (UnknownOptionExit if message.lower().startswith("unrecognized") else SystemExit)(MISTAKE)

    def _option_names(self) -> list[str]:
        names = {action.dest for parser in self._parsers() for action in parser._actions}
        return sorted(name for name in names if name not in (argparse.SUPPRESS, "subcommand"))

    def _parsers(self) -> list[argparse.ArgumentParser]:
        action = self._subcommands_action
        # The subcommand's parser knows its options. `args` are the words being parsed; jsonargparse sets them.
        used = command_among(getattr(self, "args", None) or [], TRAINER_COMMANDS)
        return [self, *([action.choices[used]] if action and used else [])]
