"""How the help of every command is laid out: an option, its kind of value, one sentence with unit, its default."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

WIDTH = 79
"""Columns of what is not laid out by argparse."""
_NAMES_DEFAULT = re.compile(r"\b[Dd]efault|\b(None|null):|must be given")
"""A sentence that says itself what happens without the option."""
_EXAMPLE = re.compile(r"^ *qstar [a-z]")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Gives usage without a list of all options, and every option a sentence that ends in its default."""

    def _format_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: str | None
    ) -> str:
        needed = [one for one in actions if not one.option_strings or one.required]
        return f"{super()._format_usage(usage, needed, [], prefix).rstrip()} [options]\n\n"

    def _expand_help(self, action: argparse.Action) -> str:
        return sentences(action.help or "", *self.remarks(action))

    def remarks(self, action: argparse.Action) -> Sequence[str]:
        """Return what the help adds to an option's own sentence: whether it must be given, and else its default."""
        if action.default == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            return []
        if action.required and action.option_strings:
            return ["Required."]
        default = self.default_of(action)
        if not action.option_strings and default is None:
            return []
        return [] if self.names_default(action) else [f"Default: {written(default)}."]

    def names_default(self, action: argparse.Action) -> bool:
        """Return whether an option's own sentence says what happens without it."""
        return _NAMES_DEFAULT.search(action.help or "") is not None

    def default_of(self, action: argparse.Action) -> Any:
        """Return the value that an option has if it is not given."""
        return action.default

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        kinds: dict[Any, str] = {int: "INT", float: "FLOAT", None: "TEXT"}
        return kinds.get(action.type, "PATH")

    def _get_default_metavar_for_positional(self, action: argparse.Action) -> str:
        return action.dest.upper()


def sentences(*parts: str) -> str:
    """Return sentences after one another, the first one's white space joined, with a capital and a full stop."""
    first, *more = (" ".join(part.split()) for part in parts)
    if first:
        # A word with a dot or an underscore in it is a name, one before a comma or a colon a value, a letter a symbol.
        word = first.split()[0]
        if word == "a" or (len(word) > 1 and word.isascii() and word.isalpha()):
            first = first[0].upper() + first[1:]
        first += "" if first.endswith((".", "…", "!", "?")) else "."
    return " ".join(part for part in (first, *more) if part)


def written(value: Any) -> str:
    """Return a default as it is typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return " ".join(map(written, value)) or "none"
    return str(value) if isinstance(value, str | int | float | Path) else repr(value)


def described(documentation: str | None) -> tuple[str, str]:
    """Return what a command's docstring says of it, and its examples: the indented lines that begin with qstar.

    The first line's "`qstar NAME`: " is left out, since the usage names the command.
    """
    text = inspect.cleandoc(documentation or "")
    lines = text.splitlines()
    examples = [f"  {line.strip()}" for line in lines if _EXAMPLE.match(line)]
    prose = "\n".join(line for line in lines if not _EXAMPLE.match(line))
    prose = re.sub(r"^`qstar [\w-]+`: ", "", prose.strip())
    prose = "\n\n".join(textwrap.fill(part, WIDTH) for part in re.split(r"\n{2,}", prose[:1].upper() + prose[1:]))
    return prose, "\n".join(["examples:", *examples] if examples else [])
