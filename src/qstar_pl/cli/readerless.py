"""Commands whose output nobody reads any more do their work to the end: `qstar fit | head` trains and saves."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Readerless(io.FileIO):
    """A descriptor that takes and drops what cannot be delivered any more.

    A pipe that has lost its reader is no error; a full disk is one, once.
    """

    _given_up = False

    def write(self, data: Any) -> int:
        if not self._given_up:
            try:
                return super().write(data)
            except BrokenPipeError:
                self._given_up = True
            except OSError:
                self._given_up = True
                raise
        return len(memoryview(data).cast("B"))


def outlive_readers() -> None:
    """Let this process's standard output and error be written to after their pipes have lost their readers.

    Streams that something else has put in place, as tests do, stay.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        stream.flush()
        raw = _Readerless(stream.fileno(), "w", closefd=False)
        raw.name = stream.name
        # The size that Python itself takes, so that a table arrives whole and not line by line.
        buffer = io.BufferedWriter(raw, io.DEFAULT_BUFFER_SIZE)
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                buffer,
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through or bool(os.environ.get("PYTHONUNBUFFERED")),
            ),
        )
