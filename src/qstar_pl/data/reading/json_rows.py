"""JSON, one object per line or a list of objects; what Python cannot hold is told apart from what is not JSON."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.data.reading.row import Located, Row, Unreadable
from qstar_pl.data.reading.text import open_text
from qstar_pl.errors import UserError

MAX_DEPTH = 100
"""Levels of lists and objects in a row; copying and writing deeper ones exceeds Python's stack."""
_MAX_DIGITS = sys.int_info.default_max_str_digits
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_BLANK = " \t\r\n\ufeff"
_MOST_SHOWN = 40
"""Characters of what does not belong into a file."""
_WRAPPERS = ("data", "rows", "examples", "instances")
"""Keys under which a file that is one object keeps its rows."""


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


# NaN and infinities are not JSON, and other readers would refuse what is written with them: they become null. A whole
# number of more digits than Python is willing to print stays text.
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=lambda _: None)


def line_rows(file: Path) -> Located:
    """Yield the objects of a file that has one on each line."""
    with open_text(file) as stream:
        for number, line in enumerate(stream, start=1):
            if text := line.strip(_BLANK):
                yield f"{file}:{number}", _row(text)


def json_rows(file: Path) -> Located:
    """Yield the rows of a .json file: a list of objects, an object with such a list or of columns, or one per line.

    Raises:
        UserError: if it is a list without an end, or something stands behind that.

    """
    with open_text(file) as stream:
        text = stream.read().strip(_BLANK)
    if not text.startswith("["):
        wrapped = _wrapped(text)
        if wrapped is None:
            yield from line_rows(file)
            return
        yield from _all_checked(wrapped, text, file)
        return
    try:
        items = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        # One item is at fault: cut the text into items, so that the others are read.
        for number, item in enumerate(_items(text, file), start=1):
            yield f"{file}, item {number}", _row(item)
        return
    yield from _all_checked(items, text, file)


def _all_checked(rows: list[Any], text: str, file: Path) -> Located:
    """Yield the rows of a text that was decoded as a whole; it is searched once, not again for each row."""
    hints = _Hints.of(text)
    for number, row in enumerate(rows, start=1):
        yield f"{file}, item {number}", _checked(row, hints)


def _wrapped(text: str) -> list[Any] | None:
    """Return the rows of a file that is one JSON value, which should be an object; None if it is more, or no JSON."""
    try:
        value = _DECODER.decode(text.rstrip(_BLANK))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return [value]
    for key in _WRAPPERS:
        if isinstance(value.get(key), list) and all(isinstance(row, dict) for row in value[key]):
            return list(value[key])
    columns = list(value.values())
    if len(columns) > 1 and all(map(_is_column, columns)) and len(set(map(len, columns))) == 1:
        return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return [value]


def _is_column(value: Any) -> bool:
    """Tell whether a value is a list of plain cells; a list of messages belongs to one row."""
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _items(text: str, file: Path) -> Iterator[str]:
    """Yield the items of a JSON list as they are written."""
    depth, start = 0, 1  # behind the list's own bracket
    for match in _TOKENS.finditer(text):
        token = match[0]
        depth += (token in "[{") - (token in "]}")
        if depth == 0 or (depth == 1 and token == ","):
            if item := text[start : match.start()].strip(_BLANK):
                yield item
            start = match.end()
        if depth == 0:
            _check_end(text, start, file)
            return
    raise UserError(f"{file}:{text.count(chr(10)) + 1}: must be JSON: the list has no end")


def _check_end(text: str, end: int, file: Path) -> None:
    """Check that nothing stands behind a list, such as a second one: its rows would be lost without a word."""
    behind = text[end:].lstrip(_BLANK)
    if not behind:
        return
    line = text.count("\n", 0, len(text) - len(behind)) + 1
    shown = behind if len(behind) <= _MOST_SHOWN else f"{behind[:_MOST_SHOWN]}…"
    raise UserError(f"{file}:{line}: must be one JSON list with nothing behind it, got {shown!r} there")


def _row(text: str) -> Row | Unreadable:
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError:
        return Unreadable("the row is not UTF-8 text" if _undecoded(text) else "the row is not JSON")
    except RecursionError:
        return Unreadable(f"the row is nested more than {MAX_DEPTH} levels deep")
    return _checked(value, _Hints.of(text))


@dataclass(frozen=True)
class _Hints:
    """Which faults a text may have; only these are looked for in its rows."""

    deep: bool
    undecoded: bool
    surrogate: bool

    @classmethod
    def of(cls, text: str) -> _Hints:
        return cls(
            # Counting is cheap, and no row is deeper than it has brackets.
            deep=text.count("[") + text.count("{") > MAX_DEPTH,
            undecoded=_undecoded(text),
            surrogate="\\u" in text and _SURROGATE.search(text) is not None,
        )


def _checked(value: Any, hints: _Hints) -> Row | Unreadable:
    if not isinstance(value, dict):
        return Unreadable("the row is not a JSON object")
    if hints.deep and _depth(value) > MAX_DEPTH:
        return Unreadable(f"the row is nested more than {MAX_DEPTH} levels deep")
    if (hints.undecoded or hints.surrogate) and not _encodable(value):
        if hints.undecoded:
            return Unreadable("the row is not UTF-8 text")
        return Unreadable("the row holds half of a surrogate pair, which is no character")
    return value


def _undecoded(text: str) -> bool:
    """Tell whether bytes that are not UTF-8 stand in the text; `open_text` lets them through as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: Any) -> int:
    deepest, stack = 0, [(value, 1)]  # no recursion, which deep rows would exhaust
    while stack:
        one, level = stack.pop()
        if isinstance(one, dict | list):
            deepest = max(deepest, level)
            stack += [(item, level + 1) for item in (one.values() if isinstance(one, dict) else one)]
    return deepest
