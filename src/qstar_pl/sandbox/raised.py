"""Exceptions on their way to the other process: what they are called, what they derive from, what they hold."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST_NAME = 80
_LONGEST_TEXT = 2000


class ProgramError(Exception):
    """The program's function raised something that tests cannot catch by name."""


@dataclass(frozen=True)
class Described:
    """An exception without its arguments and attributes, which travel beside it."""

    name: str
    """Of its class."""
    bases: tuple[str, ...]
    """Names of its class and those above that the other side may have, the nearest first."""
    text: str


def described(error: BaseException, classes: Mapping[str, type]) -> Described:
    """Describe an exception, whatever its own code does when asked for its text."""
    kind = type(error)
    known = [one.__name__ for one in kind.__mro__ if one.__module__ == "builtins" or classes.get(one.__name__) is one]
    return Described(kind.__name__[:_LONGEST_NAME], tuple(known), text_of(error))


def arguments_of(error: BaseException) -> tuple[Any, ...]:
    """Return what an exception is made of.

    An OSError keeps the file's name apart from its `args`, and the `args` of a group are whatever its class was called
    with.
    """
    if isinstance(error, BaseExceptionGroup):
        return (error.message, error.exceptions)
    if isinstance(error, OSError) and error.filename is not None and len(error.args) == 2:
        return (*error.args, error.filename)
    return error.args


def text_of(error: BaseException) -> str:
    """Return the text of an exception, "" if it has none to give."""
    try:
        return str(error)[:_LONGEST_TEXT]
    except BaseException:
        return ""


def rebuilt(
    what: Described, arguments: Sequence[Any], state: Mapping[str, Any], classes: Mapping[str, type]
) -> Exception:
    """Return an exception as near as can be to the one described: of the same class where both sides have it.

    Else its class is a new one of that name, below the nearest class above that both sides have. None ends a process or
    a loop: what is no `Exception`, and StopIteration, which would end a `map` or `all` around a call as if all were
    well, become a `ProgramError`.
    """
    base = _nearest(what.bases, classes)
    # Whether the class itself is there on both sides, and not only one above it.
    own = bool(what.bases) and what.bases[0] == what.name and base.__name__ == what.name
    if base is ProgramError:
        return ProgramError(f"{what.name}: {what.text}")
    inside = {"__str__": lambda self: what.text, "__module__": "program"}
    kind: type[Exception] = base if own else type(what.name, (base,), inside)
    try:
        error = kind(*arguments)
    except Exception:  # its constructor wants something else
        made = _past_constructor(kind, arguments)
        if made is None:
            return ProgramError(f"{what.name}: {what.text}")
        error = made
    for name, value in state.items():
        if not (name.startswith("__") and name.endswith("__")):
            error.__dict__[name] = value
    return error


def _past_constructor(kind: type[Exception], arguments: Sequence[Any]) -> Exception | None:
    """Return an exception as Python's own class above makes it; None for a group without exceptions."""
    # Python refuses `Exception.__new__` where a nearer class, such as OSError, has one of its own.
    native: Any = next(one for one in kind.__mro__ if getattr(builtins, one.__name__, None) is one)
    try:
        error: Exception = native.__new__(kind, *arguments)
    except Exception:
        return None
    with contextlib.suppress(Exception):  # not all take what their subclass was called with
        native.__init__(error, *arguments)
    return error


def _nearest(bases: Sequence[str], classes: Mapping[str, type]) -> type[Exception]:
    found = [classes.get(name, getattr(builtins, name, None)) for name in bases]
    kinds: list[Any] = [one for one in found if isinstance(one, type) and issubclass(one, BaseException)]
    if not kinds or not issubclass(kinds[0], Exception) or issubclass(kinds[0], StopIteration | StopAsyncIteration):
        return ProgramError
    nearest: type[Exception] = kinds[0]
    return nearest
