"""Standard input and output by their names as files, such as /dev/stdin, which need a /proc that is not there."""

from __future__ import annotations

import builtins
import io
import os
import re
from typing import Any

_NAMED = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,4})")


def make_known() -> None:
    """Have `open` and `os.open` take /dev/stdin and the like, from here on in this process."""
    open_text, open_number = io.open, os.open

    def open_file(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        number = _number(file)
        return open_text(file if number is None else os.dup(number), mode, *arguments, **named)

    def open_descriptor(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        number = _number(path)
        return open_number(path, flags, *arguments, **named) if number is None else os.dup(number)

    # Programs call the one in `builtins`, pathlib the one in `io`.
    builtins.open = io.open = open_file
    os.open = open_descriptor


def _number(path: Any) -> int | None:
    """Return which descriptor of this process a path names, None if none."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str):
        return None
    numbered = _NUMBERED.fullmatch(path)
    return int(numbered[1]) if numbered else _NAMED.get(path)
