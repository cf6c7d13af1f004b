"""What a formula says, as a tree, and its value at given numbers: exact where it is rational, else to 60 digits.

No computer algebra: its running time has no bound, and its timeouts need signals that only a main thread may set. Every
step here is bounded (`Unbounded` is raised before a number gets large), and the same text gives the same value always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, isqrt
from typing import Any

from mpmath import MPContext  # type: ignore[import-untyped]

MAX_BITS = 20_000
"""Of an exact number's numerator or denominator."""
MAX_LOG = 1e5
"""Of the natural logarithm of a number that is not exact."""
MAX_FACTORIAL = 1000
# A context of its own: anybody may change the precision of mpmath's global one, from any thread.
_real = MPContext()
_real.dps = 60
# Well short of 60 digits: rounding and differences of nearly equal terms use up the last ones.
_SAME = _real.mpf(10) ** -35

Value = Any
"""A Fraction, or a real or complex mpmath number."""


class Undefined(ArithmeticError):  # noqa: N818 (a state of a formula)
    """The formula has no value there, such as 1/0."""


class Unbounded(ArithmeticError):  # noqa: N818 (a state of a formula)
    """The value is too large to be worked out."""


@dataclass(frozen=True)
class Number:
    """A rational number."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """A variable."""

    name: str


@dataclass(frozen=True)
class Apply:
    """An operation on expressions."""

    operation: str
    arguments: tuple[Expression, ...]


Expression = Number | Symbol | Apply


def symbols(expression: Expression) -> frozenset[str]:
    """Return the names of the variables."""
    match expression:
        case Symbol(name):
            return frozenset() if name in _CONSTANTS else frozenset({name})
        case Apply(_, arguments):
            return frozenset().union(*map(symbols, arguments))
    return frozenset()


def value(expression: Expression, at: Mapping[str, Fraction]) -> Value:
    """Return the value where the variables have these values.

    Raises:
        Undefined: if there is none.
        Unbounded: if it, or a part of it, is too large.

    """
    match expression:
        case Number(exact):
            return _bounded(exact)
        case Symbol(name):
            return _CONSTANTS[name]() if name in _CONSTANTS else at[name]
        case Apply(operation, arguments):
            values = [value(argument, at) for argument in arguments]
            try:
                if operation.startswith("function "):
                    return _unknown_function(operation, values)
                return _bounded(_OPERATIONS[operation](*values))
            except (ZeroDivisionError, ValueError, TypeError) as error:
                raise Undefined(operation) from error
    raise AssertionError(expression)


def same_value(mine: Value, other: Value) -> bool:
    """Return whether two values are equal: exactly, or to 35 digits where one is not exact."""
    if isinstance(mine, Fraction) and isinstance(other, Fraction):
        return mine == other
    first, second = _inexact(mine), _inexact(other)
    size = max(abs(first), abs(second))
    # Relative to their size, or both as good as 0: rounding leaves sin π near 1e-60.
    return bool(abs(first - second) <= _SAME * size or size < _SAME)


def _bounded(number: Value) -> Value:
    if isinstance(number, int):
        number = Fraction(number)
    if isinstance(number, Fraction):
        if max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
            raise Unbounded
        return number
    if not _real.isfinite(number):
        raise Undefined
    return number


def _inexact(number: Value) -> Any:
    return _real.mpf(number.numerator) / number.denominator if isinstance(number, Fraction) else number


def _exact(*numbers: Value) -> bool:
    return all(isinstance(number, Fraction) for number in numbers)


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Callable[[Value, Value], Value]:
    def combine(mine: Value, other: Value) -> Value:
        return operation(mine, other) if _exact(mine, other) else operation(_inexact(mine), _inexact(other))

    return combine


def _power(base: Value, exponent: Value) -> Value:
    if _exact(base, exponent) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        # Decided from the lengths, before the power is worked out.
        if abs(exponent) * bits > MAX_BITS and abs(base) not in (0, 1):
            return _large_power(base, exponent)
        return base**exponent.numerator
    # 4^(3/2) stays exact: a rational root first, then a whole power.
    if _exact(base, exponent) and base > 0 and exponent.denominator <= MAX_FACTORIAL:
        root = _exact_root(base, exponent.denominator)
        if root is not None:
            return _power(root, Fraction(exponent.numerator))
    return _large_power(base, exponent)


def _large_power(base: Value, exponent: Value) -> Value:
    if base == 0:
        if _exact(exponent) and exponent > 0:
            return Fraction(0)
        raise Undefined
    # b^e = exp(e · log b); the logarithm of a negative base is complex, which gives the principal value.
    logarithm = _real.log(_inexact(base))
    if abs(logarithm * _inexact(exponent)) > MAX_LOG:
        raise Unbounded
    return _real.exp(logarithm * _inexact(exponent))


def _root(degree: Value, number: Value) -> Value:
    if not _exact(degree) or degree.denominator != 1 or not 1 <= degree <= MAX_FACTORIAL:
        raise Undefined
    if _exact(number):
        odd = degree.numerator % 2 == 1
        # The real root, where the principal one would be complex: ∛(−8) is −2.
        if number < 0 and odd:
            return -_root(degree, -number)
        if number >= 0 and (exact := _exact_root(number, degree.numerator)) is not None:
            return exact
    return _power(number, 1 / degree) if number != 0 else Fraction(0)


def _exact_root(number: Fraction, degree: int) -> Fraction | None:
    above, below = _whole_root(number.numerator, degree), _whole_root(number.denominator, degree)
    return None if above is None or below is None else Fraction(above, below)


def _whole_root(number: int, degree: int) -> int | None:
    if degree == 2:
        root = isqrt(number)
    elif number in (0, 1):
        root = number
    else:
        # 60 digits may be too few for a large number: below, the root is raised again.
        root = int(_real.nint(_real.root(_real.mpf(number), degree)))
    return root if root**degree == number else None


def _factorial(number: Value) -> Value:
    return factorial(_count(number))


def _count(number: Value) -> int:
    if not _exact(number) or number.denominator != 1 or number < 0:
        raise Undefined
    if number > MAX_FACTORIAL:
        raise Unbounded
    return int(number)


def _function(name: str) -> Callable[[Value], Value]:
    def apply(number: Value) -> Value:
        argument = _inexact(number)
        # exp of it would be too large; logarithms take any size.
        if abs(argument) > MAX_LOG and name not in ("ln", "log10"):
            raise Unbounded
        return getattr(_real, name)(argument)

    return apply


def _logarithm(base: Value, number: Value) -> Value:
    return _real.ln(_inexact(number)) / _real.ln(_inexact(base))


def _rounded(name: str) -> Callable[[Value], Value]:
    def apply(number: Value) -> Value:
        return Fraction(int(getattr(_real, name)(_inexact(number)))) if not _exact(number) else _EXACT[name](number)

    return apply


def _unknown_function(name: str, values: list[Value]) -> Value:
    """Return a number that depends on nothing but the function's name and where it is taken, as f(x) does."""
    # 30 digits: two ways to the same argument may differ in the last of 60.
    where = [str(one) if isinstance(one, Fraction) else _real.nstr(one, 30) for one in values]
    digest = hashlib.blake2b(f"{name}:{where}".encode(), digest_size=6).digest()
    return Fraction(int.from_bytes(digest, "big") + 1, 2**40)


_EXACT: Mapping[str, Callable[[Fraction], Fraction]] = {
    "floor": lambda number: Fraction(number.numerator // number.denominator),
    "ceil": lambda number: Fraction(-(-number.numerator // number.denominator)),
}
_CONSTANTS: Mapping[str, Callable[[], Value]] = {
    # mpmath's constants are lazy: the plus evaluates them at the context's precision.
    "pi": lambda: +_real.pi,
    "e": lambda: +_real.e,
    "i": lambda: _real.mpc(0, 1),
}
FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp", "ln")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan")},
    "log": "log10",  # without a base; with one it is "log base"
    "lg": "log10",
}
"""Names of functions in formulas, and mpmath's for them."""
_OPERATIONS: Mapping[str, Callable[..., Value]] = {
    "+": _arithmetic(lambda mine, other: mine + other),
    "-": _arithmetic(lambda mine, other: mine - other),
    "*": _arithmetic(lambda mine, other: mine * other),
    "/": _arithmetic(lambda mine, other: mine / other),
    "negative": lambda number: -number,
    "^": _power,
    "root": _root,
    "!": _factorial,
    "choose": lambda many, few: comb(_count(many), _count(few)),
    "absolute": abs,
    "floor": _rounded("floor"),
    "ceil": _rounded("ceil"),
    "percent": lambda number: number / 100,
    "degree": lambda number: _inexact(number) * _real.pi / 180,
    "log base": _logarithm,
    **{name: _function(name) for name in FUNCTIONS.values()},
}
