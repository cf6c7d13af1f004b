"""The settings of a run as text that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn


def described(part: object) -> str:
    """Return a strategy's class and options; of an `nn.Module`, those that it keeps under public names."""
    if is_dataclass(part) and not isinstance(part, type):
        # As its own `repr`, which would leave out the options of a module in it.
        return _call(part, {field.name: getattr(part, field.name) for field in fields(part) if field.repr})
    if isinstance(part, list | tuple):
        opened, closed = ("[", "]") if isinstance(part, list) else ("(", ",)" if len(part) == 1 else ")")
        return f"{opened}{', '.join(map(described, part))}{closed}"
    if not isinstance(part, nn.Module):
        return repr(part)
    children = dict(part.named_children())  # first, since reading it may create a default that is built lazily
    options = {name: value for name, value in vars(part).items() if not name.startswith("_") and name != "training"}
    return _call(part, dict(sorted({**options, **children}.items())))


def _call(part: object, options: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name}={described(value)}" for name, value in options.items())
    # jsonargparse derives a LazyInstance_ class for a default that it builds lazily; it is the same strategy.
    return f"{type(part).__name__.removeprefix('LazyInstance_')}({listed})"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return e.g. "temperature 1.0 before, 0.7 now", one text per setting that differs."""
    # An object of its own, since None is a possible value.
    absent = object()
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name, absent) != now.get(name, absent)]
    return [f"{name} {before.get(name)!r} before, {now.get(name)!r} now" for name in changed]
