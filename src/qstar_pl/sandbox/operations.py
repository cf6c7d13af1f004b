"""What can be done with an object in the other process, and which of it one side lets a stranger do."""

from __future__ import annotations

import io
import operator
import random
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

BINARY = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and_",
    "or_",
    "xor",
    "lshift",
    "rshift",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
    "contains",
    "getitem",
    "delitem",
]
UNARY = ["neg", "pos", "abs", "invert"]
OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, *arguments, **named: function(*arguments, **named),
    "next": next,
    "send": lambda generator, value: generator.send(value),
    "iter": iter,
    "len": len,
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "repr": repr,
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "setitem": operator.setitem,
    # Looked up in the class, as `with` does.
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": lambda manager: type(manager).__exit__(manager, None, None, None),
    **{name: getattr(operator, name) for name in (*BINARY, *UNARY)},
}
ENDS = frozenset({"next", "send"})
"""Operations of iterators, where StopIteration is no failure."""

_CHANGES_OR_LOOKS_UP = """
add append appendleft clear copy discard extend extendleft get insert items keys pop popleft popitem remove reverse
rotate setdefault sort update values real imag numerator denominator
"""
JUDGING = frozenset(
    name
    for kind in (str, bytes, int, float, complex, list, tuple, dict, set, frozenset, range, deque, Fraction)
    for name in dir(kind)
    if not name.startswith("_")
) - frozenset(_CHANGES_OR_LOOKS_UP.split())
"""Methods by which tests ask plain data about what they expect, such as `startswith` and `issubset`."""
_WITH_METHODS = (io.StringIO, io.BytesIO, random.Random)


def permitted(operation: str, value: Any, arguments: list[Any]) -> bool:
    """Return whether the program may do this with an object of the tests.

    A function may be called and nothing else: its attributes lead to the expected values. Objects of the tests' own
    classes, and files in memory, have all their public methods.
    """
    if operation == "call":
        return callable(value)
    if operation in ENDS or operation == "iter":
        return isinstance(value, Iterator) or _open(value)
    if operation in ("getattr", "setattr", "delattr"):
        return _open(value) and isinstance(arguments[0], str) and not arguments[0].startswith("_")
    return _open(value)


def _open(value: Any) -> bool:
    return isinstance(value, _WITH_METHODS) or (type(value).__module__ == "tests" and not isinstance(value, type))
