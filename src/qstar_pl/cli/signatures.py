"""What the classes of a configuration accept: names, types and defaults of arguments, and which classes fit where."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """An argument of a class."""

    hint: Any
    """Its type; Any if it has no annotation that can be evaluated."""
    default: Any
    """`inspect.Parameter.empty` if it is required."""

    def admits_null(self) -> bool:
        """Return whether YAML's null is allowed; a default of None allows it whatever the type says."""
        return self.default is None or admits_none(self.hint)


def imported(path: str) -> Any:
    """Return what a dotted path names, None if it names nothing."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None


def parameters(path: str) -> dict[str, Parameter]:
    """Return the arguments of the class at a path, those of its bases as far as `**kwargs` hand them on."""
    cls, found = imported(path), dict[str, Parameter]()
    # From the most basic class on, so that an argument that a subclass declares again replaces that of its base.
    for initialize in reversed(list(_initializers(cls)) if inspect.isclass(cls) else []):
        try:
            hints = typing.get_type_hints(initialize)
        except (NameError, TypeError):  # an annotation that exists only for type checkers
            continue
        for one in list(inspect.signature(initialize).parameters.values())[1:]:  # without self
            if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL):
                found[one.name] = Parameter(hints.get(one.name, Any), one.default)
    return found


def _initializers(cls: type) -> Iterator[Any]:
    """Yield `__init__` of a class, then of its bases until one takes no `**kwargs`."""
    for base in inspect.getmro(cls):
        if "__init__" in vars(base) and base is not object:
            initialize = vars(base)["__init__"]
            yield initialize
            if all(one.kind is not one.VAR_KEYWORD for one in inspect.signature(initialize).parameters.values()):
                return


def admits_none(hint: Any) -> bool:
    """Return whether a type admits None."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return any(admits_none(part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Annotated:
        return admits_none(typing.get_args(hint)[0])
    # A type variable stands for whatever it is bound to, which may be None.
    return hint in (None, NoneType, Any, object) or isinstance(hint, typing.TypeVar)


def classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes that a type is made of, except Python's own."""
    if inspect.isclass(hint) and not typing.get_args(hint):
        if hint.__module__ not in ("builtins", "types", "collections.abc"):
            yield hint
        return
    for part in typing.get_args(hint):
        if isinstance(part, list):
            continue  # the arguments of a Callable: only its result is configured
        yield from classes_in(part)


def leaves(base: type) -> Iterator[type]:
    """Yield the classes that a configuration can name where `base` is expected."""
    # jsonargparse derives a LazyInstance_ class for each default that it instantiates lazily.
    if not (inspect.isabstract(base) or base.__name__.startswith(("_", "LazyInstance_")) or _lacks_training(base)):
        yield base
    children: list[type] = base.__subclasses__()
    for child in children:
        yield from leaves(child)


def _lacks_training(cls: type) -> bool:
    """Return whether this is a base class of methods: it inherits Lightning's empty `training_step`."""
    return getattr(getattr(cls, "training_step", None), "__qualname__", "").startswith("LightningModule.")
