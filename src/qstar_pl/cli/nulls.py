"""YAML's null for an option that cannot be null: jsonargparse lets it through, and something fails later."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal

from jsonargparse import Namespace

from qstar_pl.cli.signatures import Parameter, classes_in, leaves, parameters
from qstar_pl.errors import UserError

_WORDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false", list: "a list", dict: "a mapping"}
_MOST = 8
"""How many classes of a kind a message lists at most, before an ellipsis."""


def check_nulls(option: str, value: Any, owner: str | None = None) -> None:
    """Check that no argument in a configuration is null where its type does not allow it.

    Args:
        option: what the value is called on the command line, without dashes; "" for the whole of it.
        value: a parsed configuration, or a part of it.
        owner: path of the class whose arguments a mapping holds, if it has no class_path.

    Raises:
        UserError: for the first such argument.

    """
    if isinstance(value, list):
        for one in value:
            check_nulls(option, one)
        return
    if not isinstance(value, Namespace | Mapping):
        return
    known: dict[str, Parameter] = {}
    if owner is not None:
        known = parameters(owner)
    elif isinstance(path := value.get("class_path"), str):
        known, value = parameters(path), value.get("init_args") or {}
    # `vars`, since a Namespace's own `items` flattens nested options to dotted names.
    items = vars(value) if isinstance(value, Namespace) else value
    for name, one in items.items():
        full = f"{option}.{name}" if option else str(name)
        if one is None and name in known and not known[name].admits_null():
            raise UserError(f"{full} must be {described(known[name].hint)}, got null")
        check_nulls(full, one)


def described(hint: Any) -> str:
    """Return a type in plain words, e.g. "an integer" or "a Sampler (PolicySampler, TargetSampler)"."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (typing.Union, UnionType):
        return " or ".join(dict.fromkeys(described(part) for part in parts if part is not NoneType))
    if hint in _WORDS or origin in _WORDS:
        return _WORDS[hint if hint in _WORDS else origin]
    kinds = list(classes_in(hint))
    if not kinds:
        return f"of type {hint}"
    return " or ".join(_kind(kind) for kind in kinds)


def _kind(kind: type) -> str:
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    names = sorted({leaf.__name__ for leaf in leaves(kind) if leaf is not kind and not inspect.isabstract(leaf)})
    listed = names if len(names) <= _MOST else [*names[:_MOST], "…"]
    return f"{article} {kind.__name__}" + (f" ({', '.join(listed)})" if listed else "")
