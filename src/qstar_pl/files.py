"""Files that are replaced whole or not at all, their modes, and their names in error messages."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qstar_pl.errors import UserError


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
    put_back(path)
    _remove(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        with naming(path):
            yield beside
        # Before the renaming: else a crash of the machine could leave an empty file under the final name.
        for file in [beside, *beside.rglob("*")] if beside.is_dir() else [beside]:
            _flush(file)
        if os.path.lexists(path) and (path.is_dir() or beside.is_dir()):
            # A folder takes the place only of an empty one, and a file that of none: the old one is put aside.
            aside = _aside(path)
            _remove(aside)
            path.rename(aside)
            try:
                beside.rename(path)
            except OSError:
                put_back(path)
                raise
            _flush(path.parent)  # the new one must be there before the old one goes
            _remove(aside)
        else:
            beside.replace(path)
        _flush(path.parent)  # where the new name is kept
    except BaseException:
        _remove(beside)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all: a full disk leaves what was there. A device or a pipe is written as it is.

    Args:
        path: folders on the way are made; a link stays one.
        text: in UTF-8.

    Raises:
        OSError: that names the file.

    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with naming(path):
            path.write_text(text, encoding="utf-8")
        return
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def check_not_read(output: Path, read: Iterable[Path], argument: str = "output") -> None:
    """Refuse an output that would take the place of what it is made from, by whatever name it is called.

    Args:
        output: a file that is to be written. A device or a pipe replaces nothing, so it may be read too.
        read: the files that are read.
        argument: the name of the user's option, for the message.

    Raises:
        UserError: if the output is one of the files that are read.

    """
    if output.is_file() and any(_is_same(output, one) for one in read):
        raise UserError(f"{argument} must be none of the files that are read, got {output}")


def check_writable(output: Path, argument: str = "output") -> None:
    """Refuse, before any work, a place that `write_text` could not write to after it; writes nothing.

    Args:
        output: the file; folders on the way need not be there.
        argument: the name of the user's option, for the message.

    Raises:
        UserError: if it is a folder, lies below a file, or may not be written.

    """
    try:
        wrong = _unwritable(output.resolve())
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        wrong = error.errno
    if wrong is not None:
        raise UserError(f"{argument} must name a place that can be used, got {output}: {os.strerror(wrong)}")


def _unwritable(path: Path) -> int | None:
    """Return the number of the error that writing to a path, without links, would end in; None if it can be written."""
    if path.is_dir():
        return errno.EISDIR
    # A device or a pipe is written as it is; a file is replaced, which is up to the nearest folder that is there.
    special = path.exists() and not path.is_file()
    there = path if special else next(one for one in path.parents if one.exists())
    if not special and not there.is_dir():
        return errno.ENOTDIR
    return None if os.access(there, os.W_OK) else errno.EACCES


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # the other is not there, or its name is none that a file can have
        return False


@contextmanager
def full_disk_at(place: Path) -> Iterator[None]:
    """Let an error of a full disk that names no file name the place where the run writes."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            error.filename = str(place)
        raise


def put_back(path: Path) -> None:
    """Give what `replacing` had put aside its name again, if a kill came before the new one had it.

    Only for whoever writes there: another process may be between the two.
    """
    if not os.path.lexists(path) and os.path.lexists(_aside(path)):
        _aside(path).rename(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


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
