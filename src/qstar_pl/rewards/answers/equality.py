"""Whether two final answers are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from qstar_pl.rewards.answers.choices import choice_of, without_choice
from qstar_pl.rewards.answers.cleaning import MAX_LENGTH
from qstar_pl.rewards.answers.expressions import (
    Apply,
    Expression,
    Number,
    Symbol,
    Value,
    same_value,
    symbols,
    value,
)
from qstar_pl.rewards.answers.reading import Answer, Quantity, Relation, Several, Words, read

_POINTS = ((2, 7), (5, 3), (11, 13))
"""Expressions with variables are compared at values made of these: positive, below and above 1."""
_FLIPPED = {">": "<", r"\ge": r"\le"}
_SCALES = {"%": "percent", "°": "degree"}
_WHOLE = re.compile(r"[-+]?\d+")


def same_answer(answer: str, reference: str) -> bool:
    """Return whether an answer is the reference, whatever its form.

    - Numbers are equal if their values are: 1,250 = 1250.0 = 1.25e3 = 2500/2 = \\frac{2500}{2} = 1250 dollars. Decimals
      are exact: 0.33 is not 1/3. A unit counts where both have one; 80% is 0.8, and 80 where the other
      has no unit.
    - Expressions are equal if their values are at three points (exact for rational ones, to 35 digits for others),
      equations if one is a multiple of the other, inequalities term by term or as intervals.
    - (a, b) has an order, {a, b} and "a and b" have none; (a, b), [a, b) and [a, b] are different.
    - A choice such as (B) is compared as a letter if the reference is one, and is ignored otherwise.
    - Words are compared as SQuAD does it: without case, articles and punctuation.
    """
    if max(len(answer), len(reference)) > MAX_LENGTH:
        return _same_text(answer, reference)
    # The reference alone says that letters are meant: otherwise a (B) beside a value is ignored.
    wanted = choice_of(reference)
    if wanted is not None:
        return choice_of(answer, beside=True) == wanted or answer.strip() == reference.strip()
    mine, other = read(without_choice(answer)), read(without_choice(reference))
    return _same(mine, other)


def _same_text(answer: str, reference: str) -> bool:
    # Too long to be read; long whole numbers may still differ in commas and leading zeros.
    texts = [re.sub(r"[\s,$]", "", text) for text in (answer, reference)]
    if all(_WHOLE.fullmatch(text) for text in texts):
        texts = [text.lstrip("+").lstrip("0") for text in texts]
    return texts[0] == texts[1]


def _same(mine: Answer, other: Answer) -> bool:
    match mine, other:
        case Words(), Words():
            return (mine.text == other.text and bool(mine.text)) or mine.raw == other.raw
        case Quantity(), Quantity():
            return _same_quantity(mine, other)
        case Relation(), Relation():
            return _same_relation(mine, other)
        case Several(), Several():
            return _same_several(mine, other)
        case Relation(), _:
            return _is_solution(mine, other)
        case _, Relation():
            return _is_solution(other, mine)
        case Several(), Quantity():
            return _is_quantity(mine, other)
        case Quantity(), Several():
            return _is_quantity(other, mine)
    return False


def _same_quantity(mine: Quantity, other: Quantity) -> bool:
    if mine.unit is not None and other.unit is not None:
        return mine.unit == other.unit and same_expression(mine.expression, other.expression)
    marked = mine if mine.unit is not None else other
    scale = _SCALES.get(marked.unit or "")
    plain = other if marked is mine else mine
    # 80% is 0.8, 180° is π.
    if scale is not None and same_expression(Apply(scale, (marked.expression,)), plain.expression):
        return True
    # A share without its sign would be read as it stands: 0.5% is not 0.5.
    if scale == "percent" and not _above_one(plain.expression):
        return False
    return same_expression(mine.expression, other.expression)


def _above_one(expression: Expression) -> bool:
    values = _values(expression, frozenset())
    # Without a value nothing tells that it is a share.
    return not values or values[0] is None or bool(abs(values[0]) > 1)


def same_expression(mine: Expression, other: Expression) -> bool:
    """Return whether two expressions have the same values at the same points; False if that cannot be told."""
    if mine == other:
        return True
    names = symbols(mine) | symbols(other)
    pairs = zip(_values(mine, names), _values(other, names), strict=True)
    # Where neither has a value they agree; where only one has, they differ.
    known = [(one, two) for one, two in pairs if one is not None or two is not None]
    return bool(known) and all(one is not None and two is not None and same_value(one, two) for one, two in known)


def _values(expression: Expression, names: frozenset[str]) -> list[Value | None]:
    """Return the values at the points, None where there is none."""
    found: list[Value | None] = []
    # Without variables all points are alike.
    for above, below in _POINTS if names else _POINTS[:1]:
        # Different values for different variables, and the same ones whichever formula names them.
        at = {name: Fraction(above + 4 * number, below + number) for number, name in enumerate(sorted(names))}
        try:
            found.append(value(expression, at))
        except (ArithmeticError, KeyError):
            found.append(None)
    return found


def _same_relation(mine: Relation, other: Relation) -> bool:
    first, second = _ascending(mine), _ascending(other)
    if first.signs != second.signs:
        return False
    if all(map(_same, first.terms, second.terms)):
        return True
    if first.signs == ("=",):
        return _same_equation(first, second)
    # These read the same from right to left.
    return set(first.signs) <= {"=", r"\ne"} and all(map(_same, first.terms, reversed(second.terms)))


def _ascending(relation: Relation) -> Relation:
    if relation.signs and all(sign in _FLIPPED for sign in relation.signs):
        signs = tuple(_FLIPPED[sign] for sign in reversed(relation.signs))
        return Relation(tuple(reversed(relation.terms)), signs)
    return relation


def _same_equation(mine: Relation, other: Relation) -> bool:
    """Return whether one is a multiple of the other."""
    sides = [term.expression for term in (*mine.terms, *other.terms) if isinstance(term, Quantity)]
    if len(sides) != 4:
        return False
    # left − right of each equation: a multiple has the same ratio everywhere.
    first, second = Apply("-", (sides[0], sides[1])), Apply("-", (sides[2], sides[3]))
    names = symbols(first) | symbols(second)
    if not names or symbols(first) != symbols(second):
        return False
    ratios = []
    for one, two in zip(_values(first, names), _values(second, names), strict=True):
        # A point on one of the curves gives no ratio.
        if one is None or two is None or one == 0 or two == 0:
            return False
        ratios.append(_ratio(one, two))
    return all(same_value(ratio, ratios[0]) for ratio in ratios)


def _ratio(one: Value, two: Value) -> Value:
    exact = isinstance(one, Fraction) and isinstance(two, Fraction)
    return one / two if exact else value(Apply("/", (Symbol("above"), Symbol("below"))), {"above": one, "below": two})


def _is_solution(relation: Relation, other: Answer) -> bool:
    """Return whether "x = a" or "… = a" says a, or "a < x ≤ b" the interval (a, b]."""
    if set(relation.signs) <= {"=", r"\approx"}:
        first, last = relation.terms[0], relation.terms[-1]
        end = first if _is_variable(last) else last
        # A chain that contradicts itself says nothing: 4 = 5.
        numbers = [term for term in relation.terms if isinstance(term, Quantity) and not symbols(term.expression)]
        consistent = relation.signs != ("=",) * len(relation.signs) or all(_same(term, end) for term in numbers)
        return consistent and _same(end, other)
    # Inequalities from small to large, against intervals: a < x ≤ b is (a, b], x ≤ b is (−∞, b].
    chain = _ascending(relation)
    infinite = Quantity(Symbol("infty"), None)
    ends = {"<": "()", r"\le": "[]"}
    if (
        not set(chain.signs) <= ends.keys()
        or not isinstance(other, Several)
        or other.kind not in ("()", "[)", "(]", "[]")
    ):
        return False
    if len(chain.terms) == 3 and _is_variable(chain.terms[1]):
        kind = ends[chain.signs[0]][0] + ends[chain.signs[1]][1]
        return other.kind == kind and _same_in_order((chain.terms[0], chain.terms[2]), other.items)
    if len(chain.terms) != 2:
        return False
    if _is_variable(chain.terms[0]):
        below = Quantity(Apply("negative", (infinite.expression,)), None)
        return other.kind == "(" + ends[chain.signs[0]][1] and _same_in_order((below, chain.terms[1]), other.items)
    return other.kind == ends[chain.signs[0]][0] + ")" and _same_in_order((chain.terms[0], infinite), other.items)


def _is_variable(term: Answer) -> bool:
    return isinstance(term, Quantity) and isinstance(term.expression, Symbol)


def _same_several(mine: Several, other: Several) -> bool:
    kinds = {mine.kind, other.kind}
    if kinds == {":"}:
        return len(mine.items) == len(other.items) and _proportional(mine.items, other.items)
    if kinds <= {"", "{}"} or kinds == {"u"}:
        return _same_in_any_order(mine.items, other.items, once="{}" in kinds)
    if len(kinds) == 1 or kinds == {"", "()"}:
        return _same_in_order(mine.items, other.items)
    return False


def _is_quantity(several: Several, quantity: Quantity) -> bool:
    """Return whether a ratio is a quotient, or a set has one element."""
    if several.kind == ":" and len(several.items) == 2:
        return _proportional(several.items, (quantity, Quantity(Number(Fraction(1)), None)))
    return several.kind == "{}" and len(several.items) == 1 and _same(several.items[0], quantity)


def _same_in_order(mine: Sequence[Answer], other: Sequence[Answer]) -> bool:
    return len(mine) == len(other) and all(map(_same, mine, other))


def _same_in_any_order(mine: Sequence[Answer], other: Sequence[Answer], *, once: bool) -> bool:
    if once:
        # In a set, repetitions do not count.
        return all(any(_same(one, two) for two in other) for one in mine) and all(
            any(_same(one, two) for one in mine) for two in other
        )
    left = list(other)
    for one in mine:
        found = next((number for number, two in enumerate(left) if _same(one, two)), None)
        if found is None:
            return False
        del left[found]
    return not left


def _proportional(mine: Sequence[Answer], other: Sequence[Answer]) -> bool:
    """Return whether a : b : … is c : d : …, by cross-multiplication with the last of each."""
    if not all(isinstance(item, Quantity) for item in (*mine, *other)):
        return _same_in_order(mine, other)
    ours, theirs = ([item.expression for item in items if isinstance(item, Quantity)] for items in (mine, other))
    return all(
        same_expression(Apply("*", (one, theirs[-1])), Apply("*", (two, ours[-1])))
        for one, two in zip(ours, theirs, strict=True)
    )
