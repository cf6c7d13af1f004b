"""When an output counts as the expected one."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Tolerances for numbers with a decimal point, those of APPS's own harness (numpy.allclose)."""


def same_output(printed: str, expected: str) -> bool:
    """Return whether two texts agree line by line, whatever the spaces between words and the empty lines at the end.

    Words agree if they are equal, or if both are decimal fractions or one is and the other a number, within tolerance.
    Other than APPS's harness, which also accepts lines in any order, order counts.
    """
    mine = [line.split() for line in printed.strip().splitlines()]
    other = [line.split() for line in expected.strip().splitlines()]
    if len(mine) != len(other):
        return False
    for words, wanted in zip(mine, other, strict=True):
        if len(words) != len(wanted) or not all(map(_same_word, words, wanted)):
            return False
    return True


def _same_word(word: str, wanted: str) -> bool:
    if word == wanted:
        return True
    if not ({".", "e", "E"} & {*word, *wanted}) or max(len(word), len(wanted)) > 400:
        return False
    try:
        return _close(float(word), float(wanted))
    except ValueError:
        return False


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
    if isinstance(returned, float | Decimal) or isinstance(expected, float):
        numbers = isinstance(returned, int | float | Fraction | Decimal) and isinstance(expected, int | float)
        return numbers and _close(returned, expected)
    return bool(returned == expected)


def _close(mine: float | Fraction | Decimal, other: float) -> bool:
    if mine == other:
        return math.isfinite(mine)
    try:
        mine = float(mine)
        return math.isfinite(mine) and abs(mine - other) <= ABSOLUTE + RELATIVE * abs(other)
    except (OverflowError, ValueError):  # a whole number that no float holds; a Decimal that is no number
        return False


def shortened(value: Any) -> str:
    """Return the beginning of how a value is written; of whole numbers without end, their size."""
    try:
        return f"{value!r:.80}"
    except ValueError:  # more digits than Python writes
        return f"a {type(value).__name__} with very large numbers"
