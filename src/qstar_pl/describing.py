"""The settings of a run as text that can be compared."""

from __future__ import annotations

import ast
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
    """Return e.g. "temperature 1.0 before, 0.7 now", one text per setting that differs.

    Of a class that is the same with other options (see `described`), those that differ: "answers.path …".
    """
    # An object of its own, since None is a possible value.
    absent = object()
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name, absent) != now.get(name, absent)]
    return [text for name in changed for text in _difference(name, before.get(name), now.get(name))]


def _difference(name: str, before: Any, now: Any) -> list[str]:
    old, new = _parted(before), _parted(now)
    if old is not None and new is not None and old[0] == new[0] and old[1] != new[1]:
        return [
            f"{name}.{option} {old[1].get(option)} before, {new[1].get(option)} now"
            for option in dict.fromkeys([*old[1], *new[1]])
            if old[1].get(option) != new[1].get(option)
        ]
    return [f"{name} {shortened(before)} before, {shortened(now)} now"]


def shortened(value: Any) -> str:
    """Return what `described` has written without the options that are None; of anything else, its `repr`."""
    call = _call_in(value)
    return repr(value) if call is None else ast.unparse(_WithoutNone().visit(call))


class _WithoutNone(ast.NodeTransformer):
    """Leaves out options that are None, at any depth."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        given = [one for one in node.keywords if not (isinstance(one.value, ast.Constant) and one.value.value is None)]
        return ast.Call(node.func, node.args, [ast.keyword(one.arg, self.visit(one.value)) for one in given])


def _parted(value: Any) -> tuple[str, dict[str, str]] | None:
    """Return the class and the options of what `described` has written; None if it is something else."""
    if (call := _call_in(value)) is None:
        return None
    return ast.unparse(call.func), {one.arg or "**": ast.unparse(one.value) for one in call.keywords}


def _call_in(value: Any) -> ast.Call | None:
    try:
        call = ast.parse(value, mode="eval").body if isinstance(value, str) and value.endswith(")") else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return call if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args else None
