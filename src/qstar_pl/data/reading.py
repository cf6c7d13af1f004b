"""Rows of a dataset, from the hub or from files on disk, each with the place it came from."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError

Row = Mapping[str, Any]

_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_JSON = (".json", ".json.gz")
_PARQUET = (".parquet",)
SUFFIXES = _LINES + _JSON + _PARQUET
_HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*(/[\w-][\w.-]*)?)(:(?P<config>[\w.-]+))?")


def looks_local(path: str) -> bool:
    """Tell whether `path` can only mean something on this disk, rather than a dataset on the hub.

    It does if it exists, if it ends like a data file, or if it is not of a hub id's form (`name` or `owner/name`,
    either with `:configuration` behind it).
    """
    return Path(path).expanduser().exists() or path.endswith(SUFFIXES) or not _HUB_ID.fullmatch(path)


def read_rows(path: str, split: str | None = None) -> Iterator[tuple[str, Row]]:
    """Yield (where, row) for each row, in the order of the files.

    Args:
        path: a .json (a list, or one object per line), .jsonl or .parquet file, the first two also gzipped; a folder
            of such files (read recursively, in the order of their names); or a dataset's id on the Hugging Face hub,
            where it has several configurations with the one to read behind a colon ("openai/gsm8k:main").
        split: on the hub, which split ("train" if None). In a folder, only files with this word in their path.

    Yields:
        `where`, which is "file:line" (item or row where a file has no lines), and the row.

    Raises:
        UserError: if nothing is there, the hub cannot be reached, or a row cannot be read.

    """
    if not looks_local(path):
        yield from _hub_rows(path, split)
        return
    for file in _files(path, split):
        yield from _file_rows(file)


def _files(path: str, split: str | None) -> list[Path]:
    root = Path(path).expanduser()
    if root.is_file():
        if not path.endswith(SUFFIXES):
            raise UserError(f"path must end in one of {', '.join(SUFFIXES)}, got {path}")
        if split is not None:
            raise UserError(f"split must be left out when path is a single file, got split={split} for {path}")
        return [root]
    if not root.is_dir():
        raise UserError(f"path must be a file, a folder or a hub id; there is no {path}")
    files = sorted(file for file in root.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
    if split is not None:
        files = [file for file in files if split in re.split(r"[^A-Za-z0-9]+", str(file.relative_to(root)))]
    if not files:
        named = "" if split is None else f" with the word {split!r} in its path"
        raise UserError(f"path must hold a {', '.join(SUFFIXES)} file{named}, got {path}")
    return files


def _file_rows(file: Path) -> Iterator[tuple[str, Row]]:
    try:
        if file.name.endswith(_PARQUET):
            yield from _parquet_rows(file)
        elif file.name.endswith(_JSON) and _starts_with_list(file):
            yield from _list_rows(file)
        else:
            yield from _line_rows(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{file}: must be a whole gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: must be UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UserError(f"{file}: must be readable: {error.strerror or error}") from error


def _open(file: Path) -> Any:
    return gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8")


def _starts_with_list(file: Path) -> bool:
    with _open(file) as stream:
        for line in stream:
            if stripped := line.lstrip("\ufeff \t\r\n"):
                return bool(stripped.startswith("["))
    return False


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: a row must be JSON: {error.msg} at column {error.colno}") from error


def _checked(row: Any, where: str) -> tuple[str, Row]:
    if not isinstance(row, dict):
        raise UserError(f"{where}: a row must be a JSON object, got a {type(row).__name__}")
    return where, row


def _line_rows(file: Path) -> Iterator[tuple[str, Row]]:
    with _open(file) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip("\ufeff \t\r\n"):
                where = f"{file}:{number}"
                yield _checked(_parse(line.lstrip("\ufeff"), where), where)


def _list_rows(file: Path) -> Iterator[tuple[str, Row]]:
    with _open(file) as stream:
        text = stream.read().lstrip("\ufeff")
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{file}:{error.lineno}: must be JSON: {error.msg} at column {error.colno}") from error
    for number, row in enumerate(rows, start=1):
        yield _checked(row, f"{file}, item {number}")


def _parquet_rows(file: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as arrow  # type: ignore[import-untyped]  # heavy, and only parquet needs it
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    try:
        number = 0
        with parquet.ParquetFile(file) as table:
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}, row {number}", row
    except arrow.ArrowInvalid as error:
        raise UserError(f"{file}: must be a parquet file: {_first_line(error)}") from error


def _hub_rows(path: str, split: str | None) -> Iterator[tuple[str, Row]]:
    import datasets  # seconds of import, which local files need not pay

    split = split or "train"
    hub = _HUB_ID.fullmatch(path)
    assert hub is not None, "what does not look like an id is taken for a file"
    configuration = [hub["config"]] if hub["config"] else []
    try:
        rows = datasets.load_dataset(hub["id"], *configuration, split=split)
    except Exception as error:  # the hub's client raises a dozen unrelated types; each means that nothing was loaded
        raise UserError(
            f"path must be a file, a folder or a hub id; there is no {path} here; on the hub: {_first_line(error)}"
        ) from error
    for number, row in enumerate(rows):
        yield f"{path} [{split}], row {number}", row


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
