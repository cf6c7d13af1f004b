"""From a path to rows, whatever kind of file is there."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qstar_pl.data.reading.arrow_rows import arrow_rows, parquet_rows
from qstar_pl.data.reading.csv_rows import csv_rows
from qstar_pl.data.reading.folder import folder_files
from qstar_pl.data.reading.hub import HUB_ID, hub_rows, near
from qstar_pl.data.reading.json_rows import json_rows, line_rows
from qstar_pl.data.reading.row import Located
from qstar_pl.errors import UserError

_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_JSON = (".json", ".json.gz")
_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET = (".parquet",)
_ARROW = (".arrow",)
_ODD = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
"""What may stand beside files and folders; rows are read twice, for detection and training, which these do not bear."""
SUFFIXES = _LINES + _JSON + _CSV + _PARQUET + _ARROW


def looks_local(path: str) -> bool:
    """Tell whether `path` can only mean something on this disk, rather than a dataset on the hub.

    It does if it exists (with a configuration's name behind a colon, too), if it ends like a data file, or if it is not
    of a hub id's form (`name` or `owner/name`, either with `:configuration` behind it).
    """
    folder = _folder(path)[0]
    # A link that leads nowhere does not exist for Python, and yet the hub is not what it means.
    return folder.exists() or folder.is_symlink() or path.endswith(SUFFIXES) or not HUB_ID.fullmatch(path)


def local_files(path: str, split: str | None = None) -> list[Path] | None:
    """Return the files that `read_rows` would read; None for a dataset on the hub.

    Raises:
        UserError: as `read_rows` does where there are none.

    """
    return _files(path, split) if looks_local(path) else None


def read_rows(path: str, split: str | None = None) -> Located:
    """Yield (where, row) for each row, in the order of the files.

    Args:
        path: a .jsonl, .json (a list, or one object per line), .csv or .tsv file, also gzipped, a .parquet or .arrow
            file; a folder of such files (read recursively, in the order of their names), among them what
            `datasets.save_to_disk` wrote and copies of hub datasets; or a dataset's id on the Hugging Face hub. Where
            a copy or a dataset has several configurations, the one to read stands behind a colon ("openai/gsm8k:main").
        split: on the hub, which split ("train" if None). In a folder see `folder_files`.

    Yields:
        `where`, which is "file:line" (item or row where a file has no lines), and the row. A row that cannot be read
        is `Unreadable`: not JSON, not UTF-8, half of a surrogate pair, nested too deeply, too many cells. NaN and
        infinities are null, whole numbers of more than 4300 digits text.

    Raises:
        UserError: if nothing is there, the hub cannot be reached, or a file is damaged as a whole.

    """
    if not looks_local(path):
        yield from hub_rows(path, split)
        return
    for file in _files(path, split):
        yield from _file_rows(file)


def _folder(path: str) -> tuple[Path, str | None]:
    """Return a path and the configuration that is named behind it."""
    root = Path(path).expanduser()
    if root.exists() or ":" not in path:  # a colon may be part of a name
        return root, None
    before, _, configuration = path.rpartition(":")
    folder = Path(before).expanduser()
    return (folder, configuration) if before and folder.is_dir() else (root, None)


def _files(path: str, split: str | None) -> list[Path]:
    root, configuration = _folder(path)
    if root.is_file():
        if not path.endswith(SUFFIXES):
            raise UserError(f"path must end in one of {', '.join(SUFFIXES)}, got {path}")
        if split is not None:
            raise UserError(f"split must be left out when path is a single file, got split={split} for {path}")
        return [root]
    if (odd := _odd(root)) is not None:
        raise UserError(f"path must be a file, a folder or a hub id, got {path}, which is {odd}")
    if not root.is_dir():
        raise UserError(f"path must be a file, a folder or a hub id; there is no {path}{near(path)}")
    return folder_files(root, configuration, split, SUFFIXES)


def _odd(path: Path) -> str | None:
    """Return what stands at a path if it can be neither a file of rows nor a folder of them, nor is there nothing."""
    if not path.exists():
        return "a link that leads nowhere" if path.is_symlink() else None
    mode = path.stat().st_mode
    return next((name for fits, name in _ODD if fits(mode)), None)


def json_lines(file: Path) -> Located:
    """Yield (where, row) for each line of a file of JSON lines, whatever its name; .gz is unpacked.

    Raises:
        UserError: if the file is damaged as a whole; a row that cannot be read is `Unreadable`.

    """
    with _said_of(file):
        yield from line_rows(file)


def _file_rows(file: Path) -> Located:
    with _said_of(file):
        if file.name.endswith(_PARQUET):
            yield from parquet_rows(file)
        elif file.name.endswith(_ARROW):
            yield from arrow_rows(file)
        elif file.name.endswith(_CSV):
            yield from csv_rows(file)
        elif file.name.endswith(_JSON):
            yield from json_rows(file)
        else:
            yield from line_rows(file)


@contextmanager
def _said_of(file: Path) -> Iterator[None]:
    """Say of errors of the system's, and of gzip's, which file they are about."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{file}: must be a whole gzip file: {error}") from error
    except OSError as error:
        raise UserError(f"{file}: must be readable: {error.strerror or error}") from error
