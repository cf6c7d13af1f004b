"""Reading a dataset into a file once, and taking it from there the next time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.adapters.rows import PartRows, Rows, Source, gather
from qstar_pl.data.storage.arrow_file import UNUSABLE, ArrowFile, ArrowWriter
from qstar_pl.data.storage.examples import SCHEMA, StoredExamples, TextsDigest, answers_of
from qstar_pl.data.storage.folder import CacheFolder
from qstar_pl.data.storage.identity import rows_identity
from qstar_pl.types import Example

_BATCH = 1000


def read_cached(
    source: RowSource, path: str, split: str | None, max_rows: int | None, cache: CacheFolder | None
) -> Rows:
    """Return what `source.read` returns, with a notice if a file could not be used or made.

    A dataset that is worth a file is not held in memory: its examples are a `StoredExamples`. Where the rows come
    from files on this disk, through an adapter of this package, the file has a name and is found by the next start;
    else it is there for this process alone. Whatever is wrong with the cache costs time, never the run.

    Args:
        source: of the rows.
        path: as for `RowSource.read`.
        split: as for `RowSource.read`.
        max_rows: as for `RowSource.read`.
        cache: where files may lie; None: nowhere.

    Raises:
        UserError: as `RowSource.read` does.

    """
    sources = source.sources(path, split, max_rows) if cache is not None else None
    if cache is None or sources is None:
        return source.read(path, split, max_rows)
    name = rows_identity(sources)
    file = None if name is None else cache.folder / f"{name}.rows.arrow"
    if file is not None and (found := load_rows(file, sources)) is not None:
        return found
    notice = f"rows read again: {file} could not be used" if file is not None and os.path.lexists(file) else None
    spool = _Spool(cache, sources)
    try:
        return replace(spool.read(file), cache=notice)
    except (OSError, _Unstorable) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return replace(source.read(path, split, max_rows), cache=notice or f"rows not cached: {said}: {cache.folder}")
    finally:
        spool.close()


def load_rows(file: Path, sources: Sequence[Source]) -> Rows | None:
    """Return the rows of a file; None if it is not there, not trusted, damaged, or of another form."""
    try:
        opened = ArrowFile(file, SCHEMA)
        opened.check()
        facts = opened.facts
        bytes.fromhex(facts["digest"])  # raises if it is no hash, before anything relies on it
        parts = tuple(
            PartRows(str(part["name"]), int(part["read"]), part["weight"], bool(part["held_out"]))
            for part in facts["parts"]
        )
        rejected = Counter({str(reason): int(count) for reason, count in facts["rejected"].items()})
        places = {str(reason): tuple(map(str, where)) for reason, where in facts["places"].items()}
        number = opened.column("part")
        if len(opened) + rejected.total() != facts["read"] or not all((number >= 0) & (number < len(sources))):
            return None
        return Rows(StoredExamples(opened, sources), int(facts["read"]), rejected, parts, facts["first"], places)
    except UNUSABLE:
        return None


class _Unstorable(Exception):  # noqa: N818 (no error: such rows are held in memory)
    """A row that JSON cannot give back as it is."""


class _Spool:
    """Takes rows as they are read: a few into memory, more into a file."""

    def __init__(self, cache: CacheFolder, sources: Sequence[Source]) -> None:
        self._cache = cache
        self._sources = sources
        self._held: list[Example] | None = []
        """All examples so far, as long as there are few, or if a row cannot be stored; else None."""
        self._writer: ArrowWriter | None = None
        self._pending: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        self._storable = True
        self._texts = TextsDigest()

    def read(self, file: Path | None) -> Rows:
        """Read all rows.

        Raises:
            OSError: if the file cannot be written.
            _Unstorable: if a row cannot be stored and those before it are no longer held.

        """
        rows = gather(self._sources, self._keep)
        if self._held is not None and self._storable and self._cache.is_worth(len(self._held)):
            self._begin()  # few rows, but a folder was asked for
        if self._held is not None:
            return replace(rows, examples=self._held)
        self._flush()
        assert self._writer is not None, "what is not held is written"
        facts = {
            "read": rows.read,
            "rejected": rows.rejected,
            "first": dict(rows.first),
            "places": {reason: list(where) for reason, where in rows.places.items()},
            "parts": [asdict(part) for part in rows.parts],
            "digest": self._texts.digest().hex(),
        }
        opened = self._writer.finish(facts, file)
        return replace(rows, examples=StoredExamples(opened, self._sources))

    def _keep(self, part: int, where: str, row: Mapping[str, Any], example: Example) -> None:
        if self._storable:
            try:
                text = _json(row)
            except (_Unstorable, ValueError, RecursionError) as error:
                if self._held is None:  # earlier rows are in the file alone: all must be read again, into memory
                    raise _Unstorable(f"{where} holds more than JSON can") from error
                self._storable = False
                self._pending.clear()
        if self._held is not None:
            self._held.append(example)
        if not self._storable:
            return
        self._texts.add(example)
        values = (where.encode(), text, example.key, part, answers_of(example))
        for column, value in zip(self._pending.values(), values, strict=True):
            column.append(value)
        if self._held is not None and len(self._held) >= max(self._cache.least, _BATCH):
            self._begin()
        if self._held is None and len(self._pending["key"]) >= _BATCH:
            self._flush()

    def _begin(self) -> None:
        # What is pending holds all rows so far, so their examples need not be held any longer.
        self._writer = ArrowWriter(self._cache.folder, SCHEMA)
        self._held = None

    def _flush(self) -> None:
        assert self._writer is not None, "a file was begun"
        if self._pending["key"]:
            self._writer.rows(self._pending)
        for column in self._pending.values():
            column.clear()

    def close(self) -> None:
        """Leave nothing of an unfinished file behind."""
        if self._writer is not None:
            self._writer.abandon()


def _json(row: Mapping[str, Any]) -> bytes:
    _check(row)
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _check(value: Any) -> None:
    """Raise `_Unstorable` unless JSON gives the value back with all its types: a tuple would become a list."""
    kind = type(value)
    if kind is dict:
        if not all(type(name) is str for name in value):
            raise _Unstorable
        for item in value.values():
            if type(item) is not str:
                _check(item)
    elif kind is list:
        for item in value:
            if type(item) is not str:
                _check(item)
    elif kind not in (str, int, float, bool, type(None)):
        raise _Unstorable
