"""Messages between processes that do not trust each other: never pickle.

A message is a length (4 bytes, big-endian) and that many bytes of JSON; `scalars.py` and `graph.py` say how it holds
values.
"""

from __future__ import annotations

import json
import os
from typing import Any

MAX_NODES = 2_000_000


class CodecError(Exception):
    """A message or value that is not well-formed, or larger or deeper than it may be."""


class TooLargeError(CodecError):
    """A message is longer than it may be."""


class ClosedError(Exception):
    """The other side closed the channel in the middle of, or before, a message."""


def to_bytes(message: Any) -> bytes:
    """Return a message with its length in front."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def from_bytes(body: bytes) -> Any:
    """Return the message of a body.

    Raises:
        CodecError: if it is no JSON or has more parts than `MAX_NODES`.

    """
    # Before parsing, which would build all parts; commas within texts count too, so the bound errs on the safe side.
    if body.count(b",") + body.count(b"[") > MAX_NODES:
        raise TooLargeError(f"a message must have at most {MAX_NODES} parts")
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
        raise TooLargeError(f"a message must have at most {limit} bytes, got {size}")
    return from_bytes(read_exactly(descriptor, size))


def send(descriptor: int, message: Any) -> None:
    """Write one message."""
    write_all(descriptor, to_bytes(message))
