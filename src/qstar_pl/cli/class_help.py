"""Help on options whose values are classes: what a command line asks for, and the text that answers it."""

from __future__ import annotations

import argparse
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from qstar_pl.cli.class_format import SUFFIX, ClassFormatter, brief, hint_of, kind, known, shown, summary
from qstar_pl.cli.help_format import WIDTH, described, sentences
from qstar_pl.cli.messages import near
from qstar_pl.cli.signatures import imported
from qstar_pl.cli.words import options
from qstar_pl.errors import UserError

_OURS = "qstar_pl."


@dataclass(frozen=True)
class Asked:
    """What a command line asks for help on."""

    key: str
    """The option whose classes are to be shown, without dashes; empty for the command itself."""
    name: str | None
    """The class whose options are to be shown; None: the one that the configuration has there."""
    rest: list[str]
    """The other words, which say what the configuration is."""
    given: frozenset[str] = frozenset()
    """The options that those words give a value, without dashes; also in the files that they name, where read."""

    @classmethod
    def by(cls, words: Sequence[str]) -> Asked | None:
        """Return what the words ask for; None if for no help.

        The last one counts, so that `--model.help=DPO --model.reward.help` shows what DPO has there.
        """
        rest, asked = list[str](), list[tuple[str, str | None]]()
        for one in options(words):
            if one.name in ("-h", "--help"):
                asked.append(("", None))
                rest += one.words[1:]
            elif one.name.endswith(SUFFIX):
                asked.append((one.name[2:].removesuffix(SUFFIX), one.value or None))
            else:
                rest += one.words
        if not asked:
            return None
        chosen = [f"--{key}={name}" for key, name in asked[:-1] if key and name]
        rest += chosen
        return cls(*asked[-1], rest, frozenset(map(_option_name, (one.name for one in options(rest) if one.name))))


def _option_name(word: str) -> str:
    return word.lstrip("-").removesuffix("+").removesuffix(".class_path")


@dataclass(frozen=True)
class _Place:
    """An option, at any depth of the configuration."""

    action: argparse.Action
    hint: Any
    value: Any
    """In the configuration."""

    @property
    def classes(self) -> list[type]:
        return list(known(self.hint))

    @property
    def chosen(self) -> str | None:
        """The path of the class that the configuration has there."""
        path = self.value.get("class_path") if isinstance(self.value, Namespace | Mapping) else None
        return path if isinstance(path, str) else None

    @property
    def given(self) -> dict[str, Any]:
        """The arguments of that class, by name."""
        found = (self.value.get("init_args") if self.chosen else None) or {}
        return dict(vars(found) if isinstance(found, Namespace) else found)


def arguments(cls: type, key: str, hint: Any = None) -> list[argparse.Action]:
    """Return the options of a class that is the value of the option `key`.

    Args:
        cls: the class.
        key: without dashes.
        hint: the option's type; what a Callable gives to the class is no option.

    """
    parser = ArgumentParser(exit_on_error=False)
    given = _given_by_callable(hint)
    parser.add_class_arguments(cls, key, fail_untyped=False, skip={given} if given else None)
    found = options_of(parser)
    if not cls.__module__.startswith(_OURS):
        for one in found:
            one.help = brief(one.help or "")
    return found


def options_of(parser: ArgumentParser) -> list[argparse.Action]:
    """Return the options of a parser that have a value of some type, without those that show help."""
    return [one for one in parser._actions if hint_of(one) is not None and not one.dest.endswith(SUFFIX)]


def _given_by_callable(hint: Any) -> int:
    """Return how many arguments a `Callable[[…], Class]` gives to the class; 0 for any other type."""
    parts = typing.get_args(hint)
    if parts and isinstance(parts[0], list):
        return len(parts[0])
    return max((_given_by_callable(part) for part in parts), default=0)


@dataclass(frozen=True)
class Page:
    """What the help of a command says besides its options."""

    prog: str
    """"qstar" and the command's name."""
    documentation: str | None
    """Docstring of the command's file."""
    sections: Mapping[str, Callable[[str], bool]]
    """Headings → which options, by dotted name, stand below them; the first that takes one has it."""


def command_help(parser: ArgumentParser | _Listed, page: Page, asked: Asked, config: Namespace) -> str:
    """Return a command's options; the values that the words beside --help give them are the defaults."""
    formatter = ClassFormatter(
        page.prog, {one.dest: config.get(one.dest) for one in parser._actions if one.dest in config}
    )
    description, examples = described(page.documentation)
    formatter.add_usage(None, [], [])
    formatter.add_text(description)
    left = [one for one in parser._actions if not one.dest.endswith(SUFFIX) and one.help != argparse.SUPPRESS]
    for title, takes in page.sections.items():
        taken = [one for one in left if takes(one.dest)]
        left = [one for one in left if one not in taken]
        formatter.start_section(title)
        formatter.add_arguments(taken)
        formatter.end_section()
    formatter.add_text(examples)
    return formatter.format_help()


def class_help(parser: ArgumentParser, page: Page, asked: Asked, config: Namespace) -> str:
    """Return the known classes for an option with a line each, and the options of the chosen one.

    Of a class that is asked for by its name, its options alone; of an option that takes no class, its own help; of the
    beginning of several options (trainer), theirs.

    Raises:
        UserError: if there is no such option, or no such class.

    """
    below = [one for one in options_of(parser) if one.dest.startswith(f"{asked.key}.")]
    if below:
        return command_help(_Listed(below), replace(page, sections={asked.key: lambda _: True}), asked, config)
    place = _place(parser, asked.key, config)
    cls = imported(place.chosen or "") if asked.name is None else _named(asked.key, asked.name, place.classes)
    initial = place.given if asked.name is None else {}
    values = {f"{asked.key}.{name}": value for name, value in initial.items()}
    formatter = ClassFormatter(page.prog, {place.action.dest: place.value, **values})
    formatter.add_usage(f"{page.prog} --{asked.key} {kind(place.hint)}", [], [])
    remarks = list(formatter.remarks(place.action)[:1])
    if asked.key in asked.given:
        remarks = [one.replace("Default:", "Chosen:", 1) for one in remarks]
    formatter.add_text(textwrap.fill(sentences(place.action.help or "", *remarks), WIDTH))
    if place.classes and asked.name is None:
        formatter.start_section("classes, besides your own by its path (my_file.MyClass)")
        formatter.add_arguments([_line(one) for one in place.classes])
        formatter.end_section()
    if cls is not None:
        found = arguments(cls, asked.key, place.hint)
        chosen = ", the chosen one" if asked.name is None else ""
        none = "" if found else " It has no options."
        formatter.add_text(textwrap.fill(f"{cls.__name__}{chosen}: {summary(cls)}{none}", WIDTH))
        formatter.start_section(f"options of {cls.__name__}")
        formatter.add_arguments(found)
        formatter.end_section()
    elif place.classes:
        formatter.add_text(f"--{asked.key}{SUFFIX}={place.classes[0].__name__} shows the options of that class.")
    return formatter.format_help()


@dataclass(frozen=True)
class _Listed:
    """Some options of a parser."""

    _actions: Sequence[argparse.Action]


def _named(key: str, name: str, classes: Sequence[type]) -> type:
    names = {one.__name__: one for one in classes}
    cls = names.get(name) or imported(name)
    if not inspect.isclass(cls):
        raise UserError(f"--{key}{SUFFIX}: unknown class {name}{near(name, sorted(names))}")
    return cls


def _line(cls: type) -> argparse.Action:
    # argparse lays out actions only: a class's line is that of a positional argument, without a default.
    return argparse.Action([], dest=cls.__name__, help=summary(cls), metavar=cls.__name__, default=argparse.SUPPRESS)


def _place(parser: ArgumentParser, key: str, config: Namespace) -> _Place:
    """Return the option of a dotted name, which may lead through the classes of the configuration."""
    parts = [part for part in key.split(".") if part != "init_args"]
    for cut in range(len(parts), 0, -1):
        dest = ".".join(parts[:cut])
        if (action := _with_dest(parser._actions, dest)) is not None:
            break
    else:
        raise UserError(f"unknown option --{key}{near(key, [one.dest for one in options_of(parser)])}")
    place = _Place(action, hint_of(action), config.get(dest))
    for part in parts[cut:]:
        cls = imported(place.chosen or "")
        if cls is None:
            names = ", ".join(one.__name__ for one in place.classes)
            raise UserError(f"--{key}{SUFFIX} needs a class for --{dest}, got {shown(place.value)}; known: {names}")
        found = arguments(cls, dest, place.hint)
        dest = f"{dest}.{part}"
        if (action := _with_dest(found, dest)) is None:
            own = [one.dest.rpartition(".")[2] for one in found]
            raise UserError(f"--{dest}: {cls.__name__} has no such option{near(part, own)}")
        given = place.given.get(part)
        place = _Place(action, hint_of(action), action.default if given is None else given)
    return place


def _with_dest(actions: Sequence[argparse.Action], dest: str) -> argparse.Action | None:
    return next((one for one in actions if one.dest == dest and hint_of(one) is not None), None)


def answer_help(parser: ArgumentParser, page: Page, asked: Asked, config: Namespace) -> NoReturn:
    """Print what a command line asks for, and leave; see `command_help` and `class_help`."""
    print((class_help if asked.key else command_help)(parser, page, asked, config), end="")
    raise SystemExit(0)
