"""Values and messages between processes that do not trust each other: plain data only, never pickle.

A message is a length (4 bytes, big-endian) and that many bytes of JSON. A value is itself where JSON keeps it (None,
bool, str, small int, finite float) and otherwise a list of a tag and what it holds: every list in the JSON is a tagged
value, and there are no JSON objects. What comes out of `decode` has only the types below and the standard library's
numbers and containers, whatever was sent, so no comparison can call code of the sender's.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

MAX_DEPTH = 200
MAX_NODES = 2_000_000
MAX_ITEMS = 100_000
"""Of an iterator that is sent as a whole."""
MAX_EXPONENT = 20_000
"""Of a Decimal: arithmetic with a larger one would take for ever."""
_EXACT = 2**53
_CONTAINERS: tuple[type[Any], ...] = (list, tuple, set, frozenset, deque)


class CodecError(Exception):
    """A message or value that is not well-formed, or larger or deeper than it may be."""


class ClosedError(Exception):
    """The other side closed the channel in the middle of, or before, a message."""


class Opaque:
    """Stands for a value that is no plain data, such as a function or an object of the program's own class.

    It equals nothing but itself and has no truth value, so that no verdict rests on it.
    """

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"

    def __bool__(self) -> bool:
        raise TypeError(f"a {self.type_name} object cannot be judged true or false")


def encode(value: Any, depth: int = 0, keep: Callable[[Iterator[Any]], int] | None = None) -> Any:
    """Return what JSON can hold for a value; subclasses become their plain type, other objects `Opaque`.

    Args:
        value: any object.
        depth: how deep it is nested in what is encoded.
        keep: remembers an iterator and returns its number, by which the other side can ask for its items one by one.
            Without it the items are sent with it.

    Raises:
        CodecError: if the value is nested deeper than `MAX_DEPTH` (also if it contains itself), or an iterator that is
            sent as a whole has more than `MAX_ITEMS`.

    """
    if depth > MAX_DEPTH:
        raise CodecError(f"values must be nested at most {MAX_DEPTH} deep")
    if (plain := _encode_scalar(value)) is not None or value is None:
        return plain
    if isinstance(value, range):
        return ["range", *(encode(part) for part in (value.start, value.stop, value.step))]
    if (kind := next((kind for kind in _CONTAINERS if isinstance(value, kind)), None)) is not None:
        return [kind.__name__, *(encode(item, depth + 1, keep) for item in value)]
    for tag, view in (("keys", KeysView), ("items", ItemsView), ("values", ValuesView)):
        if isinstance(value, view):
            return [tag, *(encode(item, depth + 1, keep) for item in value)]
    if isinstance(value, dict):
        return ["dict", *(encode(part, depth + 1, keep) for pair in value.items() for part in pair)]
    if isinstance(value, Iterator):
        if keep is not None:
            return ["remote", keep(value), type(value).__name__]
        items = list(islice(value, MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            raise CodecError(f"an iterator must have at most {MAX_ITEMS} items")
        return ["iterator", *(encode(item, depth + 1) for item in items)]
    return ["object", value.type_name if isinstance(value, Opaque) else type(value).__name__]


def _encode_scalar(value: Any) -> Any:
    """Return what stands for None (which is None), a number or a text; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else ["int", hex(value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else ["float", repr(float(value))]
    if isinstance(value, complex):
        return ["complex", encode(value.real), encode(value.imag)]
    if isinstance(value, Fraction):
        return ["Fraction", encode(value.numerator), encode(value.denominator)]
    if isinstance(value, Decimal):
        return ["Decimal", str(Decimal(value))]
    if isinstance(value, bytes | bytearray):
        return ["bytearray" if isinstance(value, bytearray) else "bytes", bytes(value).hex()]
    return None


def decode(data: Any, depth: int = 0, remote: Callable[[int, str], Any] | None = None) -> Any:
    """Return the value of what `encode` returned, as plain types and `Opaque`.

    Args:
        data: what was received.
        depth: how deep it is nested.
        remote: makes what stands for an iterator that the other side has kept, of its number and type's name; without
            it such an iterator is `Opaque`.

    Raises:
        CodecError: if the data is not well-formed.

    """
    if data is None or isinstance(data, bool | str | int | float):
        return data
    if depth > MAX_DEPTH or not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise CodecError("a value must be a tagged list")
    tag, parts = data[0], data[1:]
    try:
        match tag:
            case "remote":
                number, name = int(parts[0]), str(parts[1])[:80]
                return Opaque(name) if remote is None else remote(number, name)
            case "list" | "tuple" | "set" | "frozenset" | "deque" | "iterator" | "keys" | "items" | "values" | "dict":
                return _container(tag, [decode(part, depth + 1, remote) for part in parts])
            case _:
                return _scalar(tag, parts)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError) as error:
        raise CodecError(f"a {tag:.40} must hold what belongs into one") from error


def _container(tag: str, items: list[Any]) -> Any:
    match tag:
        case "dict":
            return dict(zip(items[::2], items[1::2], strict=True))
        case "iterator":
            return iter(items)
        case "keys":
            return dict.fromkeys(items).keys()
        case "items":
            return dict(items).items()
        case "values":
            return dict(enumerate(items)).values()
    kinds: dict[str, Any] = {kind.__name__: kind for kind in _CONTAINERS}
    return kinds[tag](items)


def _scalar(tag: str, parts: list[Any]) -> Any:
    match tag:
        case "int":
            return int(parts[0], 16)
        case "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[parts[0]]
        case "complex":
            return complex(decode(parts[0]), decode(parts[1]))
        case "Fraction":
            return Fraction(decode(parts[0]), decode(parts[1]))
        case "Decimal":
            number = Decimal(parts[0])
            if number.is_finite() and abs(number.adjusted()) > MAX_EXPONENT:
                raise CodecError(f"a Decimal must have an exponent of at most {MAX_EXPONENT}")
            return number
        case "range":
            return range(*(decode(part) for part in parts))
        case "bytes" | "bytearray":
            plain = bytes.fromhex(parts[0])
            return bytearray(plain) if tag == "bytearray" else plain
        case "object":
            return Opaque(str(parts[0])[:80])
    raise CodecError("a value must have a known tag")


def to_bytes(message: Any) -> bytes:
    """Return a message with its length in front."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def from_bytes(body: bytes) -> Any:
    """Return the message of a body.

    Raises:
        CodecError: if it is no JSON or has more parts than `MAX_NODES`.

    """
    if body.count(b",") + body.count(b"[") > MAX_NODES:
        raise CodecError(f"a message must have at most {MAX_NODES} parts")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CodecError("a message must be JSON") from error


def read_exactly(descriptor: int, size: int) -> bytes:
    """Read `size` bytes; raise `ClosedError` if there are fewer."""
    parts, missing = [], size
    while missing:
        part = os.read(descriptor, min(missing, 1 << 20))
        if not part:
            raise ClosedError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int, limit: int) -> Any:
    """Read one message of at most `limit` bytes.

    Raises:
        CodecError: if it is longer or not well-formed.
        ClosedError: if the channel ends first.

    """
    size = int.from_bytes(read_exactly(descriptor, 4), "big")
    if size > limit:
        raise CodecError(f"a message must have at most {limit} bytes, got {size}")
    return from_bytes(read_exactly(descriptor, size))


def send(descriptor: int, message: Any) -> None:
    """Write one message."""
    write_all(descriptor, to_bytes(message))
