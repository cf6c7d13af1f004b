"""A command line as options with values, read before there is a parser that knows the options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_OPTION = re.compile(r"-(?![.\d]).*", re.DOTALL)
"""A word that begins with a dash and is not a negative number."""


@dataclass(frozen=True)
class Option:
    """An option, or a word that is none."""

    name: str
    """With its dashes; empty for a word that is neither an option nor an option's value."""
    value: str | None
    """After "=", or in the next word; None if there is none."""
    words: tuple[str, ...]
    """As they were typed."""

    def with_value(self, value: str) -> tuple[str, ...]:
        """Return the words with another value."""
        # One word was --name=value, two were --name value: the form stays as it was typed.
        return (f"{self.name}={value}",) if len(self.words) == 1 else (self.words[0], value)


def options(words: Sequence[str]) -> Iterator[Option]:
    """Yield the options of a command line in order; their words, joined, are the line again."""
    position = 0
    while position < len(words):
        word = words[position]
        name, equals, value = word.partition("=")
        taken = 1
        if not _OPTION.fullmatch(word):
            yield Option("", None, (word,))
        elif equals:
            yield Option(name, value, (word,))
        elif position + 1 < len(words) and not _OPTION.fullmatch(words[position + 1]):
            taken = 2
            yield Option(word, words[position + 1], (word, words[position + 1]))
        else:
            yield Option(word, None, (word,))
        position += taken


def underscored(words: Sequence[str]) -> list[str]:
    """Return a command line with the hyphens in names of options as underscores, as far as "--": both are accepted."""
    position = words.index("--") if "--" in words else len(words)
    return [_underscored(word) for word in words[:position]] + list(words[position:])


def _underscored(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else word


def asks_for_help(words: Sequence[str]) -> bool:
    """Return whether some word is -h, --help or the help of a class, such as --model.sampler.help."""
    return any(one.name in ("-h", "--help") or one.name.endswith(".help") for one in options(words))


def command_among(words: Sequence[str], commands: Sequence[str]) -> str | None:
    """Return the first word that is a command, and neither an option nor an option's value; None without one."""
    return next((one.words[0] for one in options(words) if not one.name and one.words[0] in commands), None)


def with_values(words: Sequence[str], change: Callable[[str, str], str]) -> list[str]:
    """Return a command line with the value of every option replaced by `change(name, value)`."""
    made = list[str]()
    for one in options(words):
        made += one.words if one.value is None else one.with_value(change(one.name, one.value))
    return made


def without(words: Sequence[str], *names: str) -> list[str]:
    """Return a command line without some options and their values."""
    return [word for one in options(words) if one.name not in names for word in one.words]
