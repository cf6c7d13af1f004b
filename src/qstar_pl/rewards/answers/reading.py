"""What an answer is: a quantity, several of them in some brackets, a relation, or words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from qstar_pl.rewards.answers.cleaning import CLOSE_TEXT, NEW_ROW, OPEN_TEXT, cleaned, without_marks, words
from qstar_pl.rewards.answers.expressions import Apply, Expression
from qstar_pl.rewards.answers.parsing import NoFormulaError, parsed_expression
from qstar_pl.rewards.answers.units import without_unit

MAX_ITEMS = 60
_SCALED = ("percent", "degree")
_NAMES_OF_SCALED = {"percent": "%", "degree": "°"}
_AND = re.compile(rf"(?:{OPEN_TEXT}\s*,?\s*(?:and|or)\s*{CLOSE_TEXT}|(?<![\\\w])(?:and|or)(?!\w))", re.IGNORECASE)
_RELATIONS = ("<=", ">=", "=", "<", ">", r"\le", r"\ge", r"\ne", r"\approx", r"\equiv")
_ALIAS = {"<=": r"\le", ">=": r"\ge"}
_MATRIX = re.compile(r"^\\begin\{([pbvB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}$", re.DOTALL)
_LEAD = re.compile(r"^(?:approximately|about|exactly|only|roughly|nearly|just|equals?|is|=|:)\s*(?=\S)", re.IGNORECASE)
_ONLY_WORDS = re.compile(r"[A-Za-z][A-Za-z' .-]*")


@dataclass(frozen=True)
class Quantity:
    """A number or an expression, perhaps with a unit."""

    expression: Expression
    unit: str | None


@dataclass(frozen=True)
class Several:
    """More than one thing."""

    kind: str
    """The brackets ("()", "[)", …), "{}" for a set, "" without brackets, ":" for a ratio, "|" for a matrix, "u" for a
    union."""
    items: tuple[Answer, ...]


@dataclass(frozen=True)
class Relation:
    """An equation or inequality, or a chain of them."""

    terms: tuple[Answer, ...]
    signs: tuple[str, ...]
    """Between the terms."""


@dataclass(frozen=True)
class Words:
    """Anything else."""

    text: str
    """For exact match; see `words`."""
    raw: str
    """Without white space, for formulas that cannot be read."""


Answer = Quantity | Several | Relation | Words


@lru_cache(maxsize=4096)
def read(text: str) -> Answer:
    """Return what a text means; whatever cannot be read is `Words`."""
    return _read(cleaned(text), 0)


def _read(text: str, depth: int) -> Answer:
    text = _LEAD.sub("", text.strip()).strip().rstrip(",;").strip()
    if depth > 6 or not text or _is_prose(text):
        return _words(text)
    # What binds loosest is split first.
    found = _relation(text, depth) or _several(text, depth) or _bracketed(text, depth)
    if found is not None:
        return found
    return _quantity(text)


def _words(text: str) -> Words:
    return Words(words(text), re.sub(rf"[\s{{}}{OPEN_TEXT}{CLOSE_TEXT}]", "", text))


def _is_prose(text: str) -> bool:
    plain = without_marks(text)
    if not _ONLY_WORDS.fullmatch(plain):
        return False
    runs = re.findall(r"[A-Za-z]+", plain)
    # Two letters with a vowel are a word ("no"), without one a product ("xy").
    return any(len(run) >= 3 or (len(run) == 2 and re.search("[aeiou]", run, re.IGNORECASE)) for run in runs)


def _relation(text: str, depth: int) -> Answer | None:
    # x ∈ A says A.
    if len(membership := _split(text, (r"\in",))[0]) == 2 and re.fullmatch(r"[A-Za-z]", membership[0].strip()):
        return _read(membership[1], depth + 1)
    parts, signs = _split(text, _RELATIONS)
    if len(parts) < 2 or any(not part.strip() for part in parts) or len(parts) > 8:
        return None
    if len(_split(_AND.sub(";", text), (";", ","), thousands=True)[0]) > 1:
        return None  # several relations
    terms = tuple(_read(part, depth + 1) for part in parts)
    return Relation(terms, tuple(_ALIAS.get(sign, sign) for sign in signs))


def _several(text: str, depth: int) -> Answer | None:
    if len(parts := _split(text, (r"\cup",))[0]) > 1:
        return Several("u", tuple(_read(part, depth + 1) for part in parts[:MAX_ITEMS]))
    # "1, 2 and 3"; the comma of 1,234 separates nothing.
    listed = [part for part in _split(_AND.sub(";", text), (";", ","), thousands=True)[0] if part.strip()]
    if 1 < len(listed) <= MAX_ITEMS:
        return Several("", tuple(_flat(_read(part, depth + 1) for part in listed)))
    if len(parts := _split(text, (":",))[0]) > 1 and all(part.strip() for part in parts[:MAX_ITEMS]):
        return Several(":", tuple(_read(part, depth + 1) for part in parts))
    if text.count(r"\pm") + text.count(r"\mp") == 1:
        # 1 ± √2 are two answers.
        first, second = (text.replace(r"\pm", one).replace(r"\mp", other) for one, other in ("+-", "-+"))
        return Several("", (_read(first, depth + 1), _read(second, depth + 1)))
    return None


def _flat(items: object) -> list[Answer]:
    found: list[Answer] = []
    for item in items:  # type: ignore[attr-defined]
        found += item.items if isinstance(item, Several) and item.kind == "" else [item]
    return found


def _bracketed(text: str, depth: int) -> Answer | None:
    if matrix := _MATRIX.match(text):
        rows = [row for row in matrix[2].split(NEW_ROW) if row.strip()]
        cells = [tuple(_read(cell, depth + 1) for cell in row.split("&")) for row in rows[:MAX_ITEMS]]
        return Several("|", tuple(Several("|", row) for row in cells))
    is_set = text.startswith(r"\{") and text.endswith(r"\}")
    opening, closing = (r"\{", r"\}") if is_set else (text[0], text[-1])
    inner = text[len(opening) : len(text) - len(closing)]
    if not is_set and (opening not in "([" or closing not in ")]" or not _balanced(inner)):
        return None
    # {x | x > 3} says its condition.
    if is_set and len(parts := _split(inner, ("|", ":"))[0]) == 2:
        return _read(parts[1], depth + 1)
    items = [part for part in _split(_AND.sub(",", inner) if is_set else inner, (",",))[0] if part.strip()]
    # Brackets around one thing are a group of a formula.
    if not is_set and len(items) < 2:
        return None
    kind = "{}" if is_set else opening + closing
    # Only two ends make a closed interval; [1, 2, 3] is a tuple.
    if kind == "[]" and len(items) != 2:
        kind = "()"
    return Several(kind, tuple(_read(item, depth + 1) for item in items[:MAX_ITEMS]))


def _quantity(text: str) -> Answer:
    number, unit = without_unit(text)
    # A long run of letters is a word, not a product of variables.
    if re.search(r"(?<![\\A-Za-z])[A-Za-z]{5,}", without_marks(number)) or OPEN_TEXT in number:
        return _words(text)
    try:
        expression = parsed_expression(number)
    except NoFormulaError:
        return _words(text)
    # % and ° were read as operations; as units, the other side may lack them.
    if unit is None and isinstance(expression, Apply) and expression.operation in _SCALED:
        return Quantity(expression.arguments[0], _NAMES_OF_SCALED[expression.operation])
    return Quantity(expression, unit)


def _balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _split(text: str, separators: tuple[str, ...], thousands: bool = False) -> tuple[list[str], list[str]]:
    """Split where no bracket is open; with `thousands`, not at the comma of 1,234."""
    parts, found, start, depth, place = [], list[str](), 0, 0, 0
    while place < len(text):
        here = text[place:]
        if here.startswith((r"\begin", r"\{", "(", "[", "{", OPEN_TEXT)):
            depth += 1
        elif here.startswith((r"\end", r"\}", ")", "]", "}", CLOSE_TEXT)):
            depth -= 1
        separator = next((one for one in separators if here.startswith(one)), None) if depth == 0 else None
        if separator is not None and separator.startswith("\\") and here[len(separator) :][:1].isalpha():
            separator = None  # \le of \left
        if separator == "," and thousands and re.match(r",\d{3}(?!\d)", here) and text[place - 1 : place].isdigit():
            separator = None
        if separator is None:
            # A command is passed over as a whole.
            step = re.match(r"\\(?:[A-Za-z]+|.)|.", here, re.DOTALL)
            place += step.end() if step else 1
            continue
        parts.append(text[start:place])
        found.append(separator)
        place += len(separator)
        start = place
    return [*parts, text[start:]], found
