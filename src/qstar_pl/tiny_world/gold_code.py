"""The gold reward of a program: its tests, run by the safe interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qstar_pl.tiny_world.interpreter import ProgramError, Value, evaluate, names_in, parse_expression


def returned_expression(answer: str) -> str | None:
    """Return what the first line of an answer returns, or None if that line is no `return` statement."""
    lines = answer.strip().splitlines()
    if not lines or not lines[0].startswith("return ") or not lines[0].removeprefix("return ").strip():
        return None
    return lines[0].removeprefix("return ").strip()


def known_tests(answer: str, arguments: Sequence[str], tests: Sequence[Sequence[Any]]) -> float:
    """Return the gold reward in [0, 1] of a function body; `tests` holds pairs (values of the arguments, expected).

    gold = tidy × (0.1 · valid + 0.1 · typed + 0.8 · right), where

    - valid = 1 if the first line is `return <expression>`, the expression parses and mentions an argument, else the
      whole is 0 (0.05 · valid syntax for an expression without arguments: a constant).
    - typed = share of tests on which it yields a value of the expected type without an error.
    - right = (passed − c)₊ / (1 − c): the share of tests passed above what the best constant answer passes, c.
    - tidy = 1 if nothing follows the first line, else 0.7.
    """
    source = returned_expression(answer)
    if source is None or not tests:
        return 0.0
    try:
        tree = parse_expression(source)
    except ProgramError:
        return 0.0
    if not names_in(tree) & set(arguments):
        return 0.05
    results = [_result(tree, arguments, values) for values, _ in tests]
    expected = [value for _, value in tests]
    typed = sum(type(mine) is type(other) for mine, other in zip(results, expected, strict=True)) / len(tests)
    passed = sum(_same(mine, other) for mine, other in zip(results, expected, strict=True)) / len(tests)
    constant = max(sum(_same(one, other) for other in expected) for one in expected) / len(tests)
    # Where one value is right throughout, chance cannot be told from skill: every pass counts.
    right = max(0.0, passed - constant) / (1.0 - constant) if constant < 1.0 else passed
    tidy = 1.0 if len(answer.strip().splitlines()) == 1 else 0.7
    return tidy * (0.1 + 0.1 * typed + 0.8 * right)


def _same(mine: Value | None, other: Value | None) -> bool:
    return type(mine) is type(other) and mine == other  # True == 1, but is not the right answer


def _result(tree: Any, arguments: Sequence[str], values: Sequence[Value]) -> Value | None:
    try:
        return evaluate(tree, dict(zip(arguments, values, strict=True)))
    except ProgramError:
        return None
