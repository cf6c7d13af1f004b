"""When an output counts as the expected one."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Tolerances for numbers with a decimal point, those of APPS's own harness (numpy.allclose)."""
_LONGEST_NUMBER = 400
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_EXACT = 2**53
"""Whole numbers up to here are floats without rounding."""


def same_output(printed: bytes, expected: bytes) -> bool:
    """Return whether two texts agree line by line, whatever the blanks between words and the empty lines at the end.

    Words agree if they are equal, or if both are numbers, one of them a decimal fraction, and within tolerance; a whole
    number is the expected one only if it is so exactly, also where one of them is written as 4.0. Blanks and the ends
    of lines are those of ASCII: any other character is part of a word. Unlike APPS's harness, which also accepts lines
    in any order, order counts.
    """
    mine, other = _words(printed), _words(expected)
    if len(mine) != len(other):
        return False
    for words, wanted in zip(mine, other, strict=True):
        if len(words) != len(wanted) or not all(map(_same_word, words, wanted)):
            return False
    return True


def _words(text: bytes) -> list[list[bytes]]:
    return [line.split() for line in text.strip().replace(b"\r\n", b"\n").split(b"\n")]


def _same_word(word: bytes, wanted: bytes) -> bool:
    if word == wanted:
        return True
    if not any(mark in word or mark in wanted for mark in (b".", b"e", b"E")):
        return False
    if max(len(word), len(wanted)) > _LONGEST_NUMBER or not (_NUMBER.fullmatch(word) and _NUMBER.fullmatch(wanted)):
        return False
    mine, other = Decimal(word.decode()), Decimal(wanted.decode())
    if wanted.lstrip(b"+-").isdigit():
        return mine == other
    return math.isfinite(float(other)) and _close(mine, float(other))


def same_value(returned: Any, expected: Any) -> bool:
    """Return whether a function's result is the one that APPS's JSON has, where tuples are lists and keys are strings.

    Some rows wrap the one result in a list; both forms are accepted, as in APPS's own harness.
    """
    if _same(returned, expected):
        return True
    return isinstance(expected, list) and len(expected) == 1 and _same(returned, expected[0])


def _same(returned: Any, expected: Any) -> bool:
    if isinstance(returned, list | tuple) and isinstance(expected, list | tuple):
        return len(returned) == len(expected) and all(map(_same, returned, expected))
    if isinstance(returned, dict) and isinstance(expected, dict):
        mine = {str(key): value for key, value in returned.items()}
        wanted = {str(key): value for key, value in expected.items()}
        return mine.keys() == wanted.keys() and all(_same(mine[key], wanted[key]) for key in wanted)
    if isinstance(expected, float):
        return isinstance(returned, int | float | Fraction | Decimal) and _close(returned, expected)
    return bool(returned == expected)


def _close(mine: float | Fraction | Decimal, other: float) -> bool:
    """Return whether a number is close to an expected float: within tolerance, and equal where both are whole."""
    try:
        if mine == other:
            return True
        number = float(mine)
        if not (math.isfinite(number) and math.isfinite(other)):
            return False
        # Both are whole and differ: the tolerance is for fractions.
        if other.is_integer() and abs(other) < _EXACT and mine == int(mine):
            return False
        return abs(number - other) <= ABSOLUTE + RELATIVE * abs(other)
    except (ArithmeticError, ValueError):  # a whole number that no float holds; a Decimal that is no number
        return False


def shortened(value: Any) -> str:
    """Return the beginning of a value's repr; for numbers too long to print, only that they are."""
    try:
        return f"{value!r:.80}"
    except ValueError:  # more digits than Python writes
        return f"a {type(value).__name__} with very large numbers"
