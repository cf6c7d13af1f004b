"""The parser of all commands except Lightning's."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from qstar_pl.cli.errors import MISTAKE, say
from qstar_pl.cli.help_format import WIDTH, HelpFormatter, described
from qstar_pl.cli.messages import essence
from qstar_pl.cli.words import options, underscored
from qstar_pl.errors import UserError
from qstar_pl.figures import check_suffix

_REQUIRED = re.compile(r"^the following arguments are required: (?P<names>.*)$")
_INVALID = re.compile(r"^argument (?P<name>\S+): invalid (?P<kind>\S+) value: '(?P<value>.*)'$")
_REFUSED = re.compile(r"^argument (?P<name>\S+): (?P<rule>must .*)$")
_CHOICE = re.compile(r"^argument (?P<name>\S+): invalid choice: '(?P<value>[^']*)' \(choose from (?P<choices>.*)\)$")


def place(text: str) -> Path:
    """Return the path that an option names; refuses an empty one, which `Path` would take for the working folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must name a file or a folder, got nothing")
    return Path(text)


def figure(text: str) -> Path:
    """Return the path of a figure; refuses one whose suffix names no format that figures are written in."""
    path = place(text)
    try:
        check_suffix(path, "")
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).strip()) from error
    return path


class ToolParser(argparse.ArgumentParser):
    """An ArgumentParser that takes options by their whole names only, and reports a mistake in one line."""

    def __init__(self, prog: str, documentation: str | None = None, **settings: Any) -> None:
        """See `ArgumentParser`; `documentation` is the docstring of a command's file: what it does, and examples."""
        description, examples = described(documentation)
        texts: dict[str, Any] = {"description": description, "epilog": examples}
        texts |= {name: textwrap.fill(settings.pop(name), WIDTH) for name in texts if name in settings}
        super().__init__(prog=prog, allow_abbrev=False, formatter_class=HelpFormatter, **texts, **settings)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse all words; a misspelled option is reported before the required one that it leaves missing."""
        # (typeshed has an overload per kind of namespace, which is of no use here)
        words = underscored(sys.argv[1:] if args is None else args)
        known = {option for action in self._actions for option in action.option_strings}
        for one in options(words):
            if one.name == "--":  # what follows are values, whatever they look like
                break
            if one.name.startswith("--") and one.name not in known:
                self.error(f"unrecognized arguments: {one.name}")
        return super().parse_args(words, namespace)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the words that this parser knows, and return the others too."""
        return super().parse_known_args(underscored(sys.argv[1:] if args is None else args), namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        say(self._explain(message))
        raise SystemExit(MISTAKE)

    def _explain(self, message: str) -> str:
        if match := _REQUIRED.match(message):
            names = match["names"].split(", ")
            return f"{' and '.join(names)} must be given; {self.prog} --help lists all options"
        if match := _INVALID.match(message):
            return f"{match['name']} must be of type {match['kind']}, got {match['value']}"
        if match := _REFUSED.match(message):
            return f"{match['name']} {match['rule']}"
        if match := _CHOICE.match(message):
            return f"{match['name']} must be one of {match['choices']}, got {match['value']}"
        return essence(message, sorted(action.dest for action in self._actions if action.option_strings))
