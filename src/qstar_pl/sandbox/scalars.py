"""How JSON holds a value that has no parts which could change: numbers, texts, dates.

A value is itself where JSON keeps it (None, bool, str, small int, finite float), and otherwise a list of a tag and what
it holds. What `scalar_of` returns has the types of the standard library and no others, whatever was sent, so no
comparison can call code of the sender's.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath, PurePosixPath
from typing import Any
from uuid import UUID

from qstar_pl.sandbox.codec import CodecError

MAX_EXPONENT = 20_000
"""Of a Decimal: arithmetic with a larger one could take forever."""
NO_SCALAR = object()
TYPES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (bool, bytearray, bytes, complex, dict, float, frozenset, int, list, object)},
    **{kind.__name__: kind for kind in (set, str, tuple)},
    "type": type,
    "NoneType": type(None),
}
"""Types that are values."""
_MOMENTS: tuple[Any, ...] = (datetime, date, time)  # a datetime is a date
_EXACT = 2**53


def scalar_word(value: Any) -> Any:
    """Return what stands for a value, `NO_SCALAR` for other values; subclasses become their plain type."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is list or kind is tuple or kind is dict or kind is set:
        return NO_SCALAR
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):  # hex has no limit on digits, and is linear in them
        return int(value) if -_EXACT <= value <= _EXACT else ["int", hex(value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else ["float", repr(float(value))]
    if isinstance(value, complex):
        return ["complex", scalar_word(value.real), scalar_word(value.imag)]
    if isinstance(value, bytes):
        return ["bytes", bytes(value).hex()]
    if isinstance(value, type):
        name = str(type.__getattribute__(value, "__name__"))
        return ["type", name] if TYPES.get(name) is value else NO_SCALAR
    return _of_a_library(value)


def _of_a_library(value: Any) -> Any:
    if isinstance(value, range):
        return ["range", *map(scalar_word, (value.start, value.stop, value.step))]
    if isinstance(value, Fraction):
        return ["Fraction", scalar_word(value.numerator), scalar_word(value.denominator)]
    if isinstance(value, Decimal):
        return ["Decimal", str(Decimal(value))]
    if isinstance(value, timedelta):
        return ["timedelta", value.days, value.seconds, value.microseconds]
    for kind in _MOMENTS:
        if isinstance(value, kind):
            return [kind.__name__, kind.isoformat(value)]
    if isinstance(value, UUID):
        return ["UUID", value.hex]
    if isinstance(value, PurePath):
        return ["path", str(value)]
    return ["Ellipsis"] if value is Ellipsis else NO_SCALAR


def scalar_of(word: Any) -> Any:
    """Return the value that a word stands for.

    Raises:
        CodecError: if it is no word of `scalar_word`'s.

    """
    if word is None or isinstance(word, bool | str | int | float):
        return word
    if not isinstance(word, list) or not word or not isinstance(word[0], str):
        raise CodecError("a value must be a tagged list")
    tag, parts = word[0], word[1:]
    try:
        return _tagged(tag, parts)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise CodecError(f"a {tag:.40} must hold what belongs into one") from error


def _tagged(tag: str, parts: list[Any]) -> Any:
    match tag:
        case "int":
            return int(parts[0], 16)
        case "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[parts[0]]
        case "complex":
            return complex(scalar_of(parts[0]), scalar_of(parts[1]))
        case "bytes":
            return bytes.fromhex(parts[0])
        case "type":
            return TYPES[parts[0]]
        case "range":
            return range(*map(scalar_of, parts))
        case "Fraction":
            return Fraction(scalar_of(parts[0]), scalar_of(parts[1]))
        case "Decimal":
            number = Decimal(parts[0])
            if number.is_finite() and abs(number.adjusted()) > MAX_EXPONENT:
                raise CodecError(f"a Decimal must have an exponent of at most {MAX_EXPONENT}")
            return number
        case "timedelta":
            return timedelta(*map(int, parts))
        case "date" | "datetime" | "time":
            return next(kind for kind in _MOMENTS if kind.__name__ == tag).fromisoformat(parts[0])
        case "UUID":
            return UUID(parts[0])
        case "path":
            return PurePosixPath(parts[0])
        case "Ellipsis":
            return Ellipsis
    raise CodecError("a value must have a known tag")
