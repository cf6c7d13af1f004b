"""Seeded programming problems: a function's head and docstring; the answer is one `return <expression>`.

The form is HumanEval's (`prompt`, `entry_point`) with MBPP's `test_list` of assert statements beside the same tests as
plain data: `tests` is a list of [arguments, expected]. The expected values come from the safe interpreter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qstar_pl.tiny_world.interpreter import ProgramError, Value, evaluate, parse_expression

_TESTS = 8
_INT_NAMES = ("a b", "x y", "m n", "p q", "u v", "i j")
_TEXT_NAMES = ("s t", "text part", "word end", "line tail", "left right", "one two")
_DOCSTRINGS = ("Return {doc}.", "Give back {doc}.", "Compute {doc}.")
_LETTERS = "abcde"


@dataclass(frozen=True)
class Family:
    """Problems that differ in names and constants only. In `doc` and `expression`, {a} and {b} are arguments."""

    name: str
    arguments: str
    """One letter per argument: "i" an integer, "t" a string."""
    doc: str
    """What is returned, in words; {k} is a constant from 2 to 9."""
    expression: str


_SOURCE = """
    add        | ii | the sum of {a} and {b}                      | {a} + {b}
    subtract   | ii | {a} minus {b}                               | {a} - {b}
    multiply   | ii | the product of {a} and {b}                  | {a} * {b}
    larger     | ii | the larger of {a} and {b}                   | max({a}, {b})
    smaller    | ii | the smaller of {a} and {b}                  | min({a}, {b})
    distance   | ii | the distance of {a} and {b}                 | abs({a} - {b})
    is_larger  | ii | whether {a} is larger than {b}              | {a} > {b}
    is_smaller | ii | whether {a} is smaller than {b}             | {a} < {b}
    same       | ii | whether {a} is equal to {b}                 | {a} == {b}
    both_plus  | ii | the sum of {a}, {b} and {k}                 | {a} + {b} + {k}
    scale_sum  | ii | {k} times the sum of {a} and {b}            | {k} * ({a} + {b})
    cap_sum    | ii | the sum of {a} and {b}, but at most {k}     | min({a} + {b}, {k})
    plus       | i  | {a} plus {k}                                | {a} + {k}
    minus      | i  | {a} minus {k}                               | {a} - {k}
    times      | i  | {k} times {a}                               | {k} * {a}
    square     | i  | the square of {a}                           | {a} * {a}
    negate     | i  | minus {a}                                   | -{a}
    size       | i  | the size of {a} without its sign            | abs({a})
    is_even    | i  | whether {a} is even                         | {a} % 2 == 0
    is_odd     | i  | whether {a} is odd                          | {a} % 2 == 1
    at_least   | i  | {a}, but at least {k}                       | max({a}, {k})
    at_most    | i  | {a}, but at most {k}                        | min({a}, {k})
    above      | i  | whether {a} is larger than {k}              | {a} > {k}
    below      | i  | whether {a} is smaller than {k}             | {a} < {k}
    rest       | i  | the rest of {a} divided by {k}              | {a} % {k}
    part       | i  | {a} divided by {k}, rounded down            | {a} // {k}
    length     | t  | the length of {a}                           | len({a})
    more       | t  | the length of {a} plus {k}                  | len({a}) + {k}
    first      | t  | the first letter of {a}                     | {a}[0]
    last       | t  | the last letter of {a}                      | {a}[-1]
    turn       | t  | {a} in reverse                              | {a}[::-1]
    twice      | t  | {a} two times                               | {a} * 2
    head       | t  | the first {k} letters of {a}                | {a}[:{k}]
    is_long    | t  | whether {a} is longer than {k}              | len({a}) > {k}
    join       | tt | {a} followed by {b}                         | {a} + {b}
    longest    | tt | the larger length of {a} and {b}            | max(len({a}), len({b}))
    total      | tt | the length of {a} and {b} together          | len({a}) + len({b})
    holds      | tt | whether {b} is in {a}                       | {b} in {a}
"""
FAMILIES: tuple[Family, ...] = tuple(
    Family(*(field.strip() for field in line.split("|"))) for line in _SOURCE.strip().split("\n")
)


def _arguments(rng: random.Random, kinds: str, near: int) -> list[Value]:
    """Draw arguments; integers are often near the problem's constant, where its cases part."""

    def integer() -> int:
        return rng.choice((rng.randint(-20, 20), near + rng.randint(-1, 1), rng.randint(-5, 5)))

    def text() -> str:
        return "".join(rng.choice(_LETTERS) for _ in range(rng.choice((1, 2, 3, 5, near, near + 1))))

    drawn: list[Value] = [integer() if kind == "i" else text() for kind in kinds]
    # By chance, one text is seldom in another and two integers are seldom equal: both cases need their tests.
    if kinds == "tt" and rng.random() < 0.5:
        drawn[1] = str(drawn[0])[: rng.randint(1, 3)]
    elif kinds == "ii" and rng.random() < 0.2:
        drawn[1] = drawn[0]
    return drawn


def _tests(rng: random.Random, kinds: str, names: list[str], expression: str, near: int) -> list[list[Any]]:
    """Return tests with different arguments, of which no single value can satisfy more than three quarters."""
    tree = parse_expression(expression)
    while True:
        tests: list[list[Any]] = []
        while len(tests) < _TESTS:
            arguments = _arguments(rng, kinds, near)
            if all(arguments != test[0] for test in tests):
                tests.append([arguments, evaluate(tree, dict(zip(names, arguments, strict=True)))])
        expected = [test[1] for test in tests]
        if max(expected.count(value) for value in expected) <= 0.75 * _TESTS:
            return tests


def _misses(expression: str, names: list[str], tests: list[list[Any]]) -> bool:
    """Tell whether an expression fails at least one test, or is not in the language."""
    try:
        tree = parse_expression(expression)
        return any(evaluate(tree, dict(zip(names, values, strict=True))) != expected for values, expected in tests)
    except ProgramError:
        return True


def _wrong_expression(rng: random.Random, family: Family, tests: list[list[Any]], names: list[str], k: int) -> str:
    """Return the answer to another problem with the same arguments, one that fails a test."""
    options = [other for other in FAMILIES if other.arguments == family.arguments and other.name != family.name]
    rng.shuffle(options)
    expressions = (_fill(other.expression, names, k) for other in options)
    return "return " + next(expression for expression in expressions if _misses(expression, names, tests))


def _constant(rng: random.Random, family: Family, tests: list[list[Any]], names: list[str], k: int) -> str:
    return f"return {rng.choice(tests)[1]!r}"


def _prose(rng: random.Random, family: Family, tests: list[list[Any]], names: list[str], k: int) -> str:
    return rng.choice(
        ("I do not know how to do that.", f"You need {family.doc.format_map(_values(names, k))}.", "pass")
    )


def _cut_off(rng: random.Random, family: Family, tests: list[list[Any]], names: list[str], k: int) -> str:
    answer = "return " + _fill(family.expression, names, k)
    cuts = [answer[:end] for end in range(len("return"), len(answer))]
    return rng.choice([cut for cut in cuts if _misses(cut.removeprefix("return"), names, tests)]).rstrip()


def _rambling(rng: random.Random, family: Family, tests: list[list[Any]], names: list[str], k: int) -> str:
    return "\n".join([_wrong_expression(rng, family, tests, names, k)] * rng.randint(2, 3))


FLAWS: Mapping[str, Callable[[random.Random, Family, list[list[Any]], list[str], int], str]] = {
    "wrong_expression": _wrong_expression,
    "constant": _constant,
    "prose": _prose,
    "cut_off": _cut_off,
    "rambling": _rambling,
}
"""How an answer can be bad: name → maker(rng, family, tests, names, k)."""


def _values(names: list[str], k: int) -> dict[str, Any]:
    return {"a": names[0], "b": names[-1], "k": k}  # of a single argument both, whose families have no {b}


def _fill(template: str, names: list[str], k: int) -> str:
    return template.format_map(_values(names, k))


def program(rng: random.Random) -> dict[str, Any]:
    """Return one row."""
    family = rng.choice(FAMILIES)
    k = rng.randint(2, 9)
    names = rng.choice(_TEXT_NAMES if "t" in family.arguments else _INT_NAMES).split()[: len(family.arguments)]
    expression = _fill(family.expression, names, k)
    entry_point = family.name + rng.choice(("", "_it", "_of", "_now", "_fn"))
    doc = _fill(rng.choice(_DOCSTRINGS).format(doc=family.doc), names, k)
    tests = _tests(rng, family.arguments, names, expression, k)
    flaw = rng.choice(sorted(FLAWS))
    calls = (f"{entry_point}({', '.join(map(repr, arguments))}) == {expected!r}" for arguments, expected in tests)
    return {
        "prompt": f'def {entry_point}({", ".join(names)}):\n    """{doc}"""',
        "chosen": f"return {expression}",
        "rejected": FLAWS[flaw](rng, family, tests, names, k),
        "task": "code",
        "entry_point": entry_point,
        "arguments": names,
        "tests": tests,
        "test_list": [f"assert {call}" for call in calls],
        "flaw": flaw,
    }
