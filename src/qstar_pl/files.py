"""Modes of files that others create for themselves alone."""

from __future__ import annotations

import os
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
