"""Evaluates one generated expression without ever handing it to Python: a walk over a whitelisted syntax tree.

Generated text is only *parsed*; `eval`, `exec` and `compile` to bytecode never see it. The language has integers,
booleans and short strings; + - * // %, comparisons, `in`, and/or/not, `x if c else y`, indexing and slicing of strings,
and calls of abs, min, max and len. It has no names but the arguments, no attributes, no powers, no lists, no loops and
no way to define anything. Every value is bounded before it is computed, so that time and memory are bounded too: at
most `MAX_SOURCE` characters, nested at most `MAX_DEPTH` deep, each node visited at most once.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

MAX_SOURCE = 200
"""Characters of an expression."""
MAX_DEPTH = 20
"""Nesting of an expression."""
MAX_INT = 10**9
"""Largest magnitude of an integer."""
MAX_TEXT = 64
"""Characters of a string."""

Value = int | bool | str


class ProgramError(Exception):
    """The expression is not in the language, or it fails on these arguments."""


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, text: operator.contains(text, item),
    ast.NotIn: lambda item, text: not operator.contains(text, item),
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "len": len}
_FAILURES = (TypeError, ValueError, ZeroDivisionError, IndexError, OverflowError)


def parse_expression(source: str) -> ast.expr:
    """Return the syntax tree of one expression.

    Raises:
        ProgramError: if it is too long or not a Python expression. What it holds is checked on evaluation.

    """
    if len(source) > MAX_SOURCE:
        raise ProgramError(f"longer than {MAX_SOURCE} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in generated text is no news to the user
            return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ProgramError("not an expression") from error


def names_in(node: ast.expr) -> frozenset[str]:
    """Return the names that an expression mentions, functions included."""
    return frozenset(child.id for child in ast.walk(node) if isinstance(child, ast.Name))


def evaluate(node: ast.expr, arguments: Mapping[str, Value]) -> Value:
    """Return the value of an expression for the given arguments.

    Raises:
        ProgramError: if the expression leaves the language or its bounds, or fails (division by 0, wrong type, …).

    """
    try:
        return _visit(node, arguments, 0)
    except _FAILURES as error:
        raise ProgramError(str(error)) from error


def _bounded(value: object) -> Value:
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    if isinstance(value, int) and abs(value) <= MAX_INT:
        return value
    raise ProgramError("neither an integer nor a string, or too large")


def _visit(node: ast.expr, arguments: Mapping[str, Value], depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ProgramError(f"nested deeper than {MAX_DEPTH}")

    def visit(child: ast.expr) -> Value:
        return _visit(child, arguments, depth + 1)

    match node:
        case ast.Constant(value=value):
            return _bounded(value)
        case ast.Name(id=name) if name in arguments:
            return _bounded(arguments[name])
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(op, visit(left), visit(right))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not visit(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _bounded(-_integer(visit(operand)))
        case ast.BoolOp(op=op, values=parts):
            return _first(op, parts, visit)
        case ast.Compare(left=left, ops=ops, comparators=parts):
            return _compare(left, ops, parts, visit)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return visit(body) if visit(test) else visit(orelse)
        case ast.Subscript(value=text, slice=index):
            return _subscript(visit(text), index, visit)
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(visit, parts)))
        case _:
            raise ProgramError(f"{type(node).__name__} is not allowed here")


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise ProgramError("not an integer")
    return value


def _arithmetic(op: ast.operator, left: Value, right: Value) -> Value:
    function = _ARITHMETIC.get(type(op))
    if function is None:
        raise ProgramError(f"{type(op).__name__} is not allowed here")
    both_text = isinstance(left, str) and isinstance(right, str)
    if isinstance(op, ast.Mult) and isinstance(left, str) != isinstance(right, str):
        text, times = (left, right) if isinstance(left, str) else (right, left)
        # Sized before it is built: 'a' * 10**9 would be a gigabyte.
        if len(str(text)) * max(0, _integer(times)) > MAX_TEXT:
            raise ProgramError("a string that is too long")
    elif not (isinstance(op, ast.Add) and both_text):
        # Also keeps out '%999999999d' % 1, where % formats a string.
        left, right = _integer(left), _integer(right)
    return _bounded(function(left, right))


def _first(op: ast.boolop, parts: list[ast.expr], visit: Callable[[ast.expr], Value]) -> Value:
    # As in Python: the value is that of the part that decides, and no part behind it is visited.
    stop_at = isinstance(op, ast.Or)
    for part in parts[:-1]:
        if bool(value := visit(part)) is stop_at:
            return value
    return visit(parts[-1])


def _compare(left: ast.expr, ops: list[ast.cmpop], parts: list[ast.expr], visit: Callable[[ast.expr], Value]) -> Value:
    value = visit(left)  # a < b < c visits b once, and c only if a < b
    for op, part in zip(ops, parts, strict=True):
        function = _COMPARISONS.get(type(op))
        if function is None:
            raise ProgramError(f"{type(op).__name__} is not allowed here")
        other = visit(part)
        if not function(value, other):
            return False
        value = other
    return True


def _subscript(text: Value, index: ast.expr, visit: Callable[[ast.expr], Value]) -> Value:
    if not isinstance(text, str):
        raise ProgramError("only strings have parts")
    if isinstance(index, ast.Slice):
        bounds = [None if part is None else _integer(visit(part)) for part in (index.lower, index.upper, index.step)]
        return text[slice(*bounds)]
    return text[_integer(visit(index))]
