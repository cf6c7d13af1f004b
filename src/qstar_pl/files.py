"""Files that are replaced whole or not at all, their modes, and their names in error messages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def plain_mode() -> int:
    """Return the mode that a new file of this process ordinarily has, e.g. 0o644."""
    umask = os.umask(0o077)  # can only be read by setting it; strict in the meantime
    os.umask(umask)
    return 0o666 & ~umask


def open_weights(folder: str | Path) -> None:
    """Give the weights in a folder the mode of the files beside them: safetensors writes them as 0600."""
    for file in Path(folder).glob("*.safetensors"):
        file.chmod(plain_mode())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file into an OSError that names none, as one of `write` does not (a full disk, a limit on sizes)."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; what is there at the end takes the place of `path` in one step.

    The name beside it is always the same, so the next process clears away what a killed one left there. If the block
    raises, `path` stays as it was.
    """
    beside = path.with_name(f".{path.name}.unfinished")
    _remove(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        with naming(path):
            yield beside
        # Before the renaming: else a crash of the machine could leave an empty file under the final name.
        for file in [beside, *beside.rglob("*")] if beside.is_dir() else [beside]:
            _flush(file)
        if path.is_dir():
            # A folder cannot replace one that is not empty: the old one is put aside while the new one is renamed.
            aside = path.with_name(f".{path.name}.replaced")
            _remove(aside)
            path.rename(aside)
            beside.rename(path)
            _remove(aside)
        else:
            beside.replace(path)
        _flush(path.parent)  # where the new name is kept
    except BaseException:
        _remove(beside)
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
