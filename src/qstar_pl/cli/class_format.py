"""How options whose values are classes are shown: kinds of values, known classes, defaults with short names."""

from __future__ import annotations

import argparse
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal

from jsonargparse import Namespace

from qstar_pl.cli.help_format import HelpFormatter, written
from qstar_pl.cli.runs.summary import compact
from qstar_pl.cli.signatures import classes_in, leaves

SUFFIX = ".help"
"""How the option ends that shows the classes for an option."""
_LONG = 60
"""Characters of a default from which on only the names of its classes are shown."""
_MOST = 8
"""How many classes an option's own help names; its .help names all."""
_KINDS: Mapping[Any, str] = {int: "INT", float: "FLOAT", str: "TEXT", bool: "true|false", Path: "PATH"}
_PRINT_CONFIG = "Print the configuration that would be used, and end; FLAGs: comments, skip_default, skip_unset."
_PLAIN = ("datetime", "pathlib", "os")
"""Modules of types whose values are written as texts."""


class ClassFormatter(HelpFormatter):
    """Shows kinds of values by their types, classes by their names, and the values of a configuration as defaults."""

    def __init__(self, prog: str, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(prog=prog)
        self.values = values or {}

    def default_of(self, action: argparse.Action) -> Any:
        """See `HelpFormatter.default_of`."""
        return self.values.get(action.dest, action.default)

    def _expand_help(self, action: argparse.Action) -> str:
        return _PRINT_CONFIG if action.dest == "print_config" else super()._expand_help(action)

    def names_default(self, action: argparse.Action) -> bool:
        """See `HelpFormatter.names_default`; a docstring may also speak of the default of something else."""
        return self.default_of(action) is None and super().names_default(action)

    def remarks(self, action: argparse.Action) -> Sequence[str]:
        """See `HelpFormatter.remarks`; names the classes, or how to see them."""
        if action.dest in ("help", "config", "print_config"):
            return []
        value, said = self.default_of(action), list(super().remarks(action))
        if said and said[0].startswith("Default"):
            said[0] = f"Default: {shown(value)}."
        names = [cls.__name__ for cls in known(hint_of(action))]
        if names:
            listed = f"Classes: {', '.join(names)}" if len(names) <= _MOST else "Classes"
            said.append(f"{listed} (--{action.dest}{SUFFIX}).")
        return said

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return kind(hint_of(action)) if hasattr(action, "_typehint") else "FILE"

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if action.nargs == 0 or not action.option_strings:
            return super()._format_action_invocation(action)
        if action.dest == "print_config":
            return f"{action.option_strings[0]}[=FLAG,FLAG]"
        # Without the form that appends (--x+), and without the long metavar that jsonargparse gives to classes.
        names = [name for name in action.option_strings if not name.endswith("+")]
        return ", ".join([*names[:-1], f"{names[-1]} {self._get_default_metavar_for_optional(action)}"])


def hint_of(action: argparse.Action) -> Any:
    """Return the type of an option's value; None if it has none."""
    return getattr(action, "_typehint", None)


def kind(hint: Any) -> str:
    """Return a word for the values of a type, e.g. INT or CLASS."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint in _KINDS:
        return _KINDS[hint]
    if origin is Literal:
        listed = "|".join(map(str, parts))
        return listed if len(listed) <= 30 else "WORD"
    if origin in (typing.Union, UnionType):
        kinds = list(dict.fromkeys(kind(part) for part in parts if part is not type(None)))
        return "|".join(kinds) if len(kinds) <= 3 else "VALUE"
    if origin is typing.Annotated:
        return kind(parts[0])
    if origin in (list, tuple, set) or getattr(origin, "__name__", "") in ("Iterable", "Sequence"):
        return f"[{kind(parts[0])},...]" if parts else "[VALUE,...]"
    if origin is dict or hint is dict:
        return "{KEY: VALUE}"
    return "CLASS" if any(known(hint)) else "VALUE"


def known(hint: Any) -> Iterator[type]:
    """Yield the classes that an option of this type is meant to name, in the order of their names."""
    found = dict[str, type]()
    for base in classes_in(hint):
        if base.__module__.partition(".")[0] in _PLAIN or base.__name__ == "Tensor":
            continue
        found |= {leaf.__name__: leaf for leaf in leaves(base) if _is_public(leaf)}
    yield from (found[name] for name in sorted(found, key=str.lower))


def _is_public(cls: type) -> bool:
    """Return whether a class is meant for configurations: one of this project's is, if some package exports it."""
    parts = cls.__module__.split(".")
    if cls.__name__.startswith("_") or parts[0] != "qstar_pl":
        return not cls.__name__.startswith("_")
    packages = [sys.modules[".".join(parts[:length])] for length in range(2, len(parts))]
    return any(getattr(package, cls.__name__, None) is cls for package in packages)


def summary(cls: type) -> str:
    """Return the first sentence of a class's docstring; empty if it has none of its own."""
    text = (cls.__doc__ or "").strip()
    if text.startswith(f"{cls.__name__}("):  # that a dataclass makes of its fields
        return ""
    return brief(text.partition("\n\n")[0])


def brief(text: str) -> str:
    """Return the first sentence of a docstring that is written for web pages, without its markup and its default."""
    text = " ".join(re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text).replace("``", "").split())
    text = re.sub(r"`([^`<]+?)\s*<[^>]*>`_*", r"\1", text)
    text = re.sub(r"\s*Defaults? ?(?:value)?(?:s to|: ).*$", "", text)
    match = re.match(r"(.+?[.!?])(?=\s+[A-Z`]|$)", text)
    return (match[1] if match else text).strip()


def shown(value: Any) -> str:
    """Return a value as it is typed, with short class names; of a long one the names of its classes alone."""
    plain = _plain(value)
    text = compact(plain) if isinstance(plain, dict | list) else written(plain)
    if len(text) <= _LONG:
        return text.removesuffix("()")
    if isinstance(plain, list):
        names = [one.get("class_path", "…").rpartition(".")[2] if isinstance(one, dict) else str(one) for one in plain]
        return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return text.partition("(")[0] if isinstance(plain, dict) and "class_path" in plain else f"{text[:_LONG]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        return value.as_dict()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
