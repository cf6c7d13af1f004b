"""Files that others write: their modes, and their names in what goes wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def plain_mode() -> int:
    """Return the mode that an ordinary new file of this process has, e.g. 0o644."""
    umask = os.umask(0o077)  # it can only be read by setting it
    os.umask(umask)
    return 0o666 & ~umask


def open_weights(folder: str | Path) -> None:
    """Give the weights in a folder the mode of the files beside them: safetensors writes them as 0600."""
    for file in Path(folder).glob("*.safetensors"):
        file.chmod(plain_mode())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system's say which file it is about: that of a `write` does not (a full disk, a limit)."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
