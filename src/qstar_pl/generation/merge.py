"""From the shards of all processes to the final files, in the order of the dataset."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from qstar_pl.data.records import json_line
from qstar_pl.generation.plan import Plan
from qstar_pl.generation.shard import Place
from qstar_pl.generation.workspace import Workspace, json_bytes, replace_file, sync_folder

TOKEN_ROWS = 2**17
"""Rows of one row group in the parquet file."""


def merge(workspace: Workspace, plan: Plan, diagnostics: str) -> dict[str, int]:
    """Write the output files of a run whose batches are all finished, and remove the work folder.

    Rows come in the order of the dataset, samples of one prompt after another; one row is in memory at a time. The
    files get their names only when all are complete. If killed at any moment, it can be repeated: the shards are
    removed last.

    Args:
        workspace: where the files lie.
        plan: of the run.
        diagnostics: "none", "rows" or "tokens".

    Returns:
        Totals: "rows", "tokens", "ended".

    Raises:
        OSError: if a file cannot be written; the shards are as before.

    """
    places = {row: place for batch in workspace.finished(plan).values() for row, place in batch}
    assert len(places) == plan.rows, "merge comes when all batches are there"
    totals = {"rows": 0, "tokens": 0, "ended": 0}
    targets = [workspace.output]
    if diagnostics != "none":
        targets.append(workspace.diagnostics)
    if diagnostics == "tokens":
        targets.append(workspace.tokens)
    parts = {target: workspace.work / f"{target.name}.part" for target in targets}
    with ExitStack() as stack:
        rows = stack.enter_context(_synced(parts[workspace.output]))
        beside = stack.enter_context(_synced(parts[workspace.diagnostics])) if workspace.diagnostics in parts else None
        table = stack.enter_context(_TokenTable(parts[workspace.tokens])) if workspace.tokens in parts else None
        for record in _records(places, plan.rows):
            tokens, numbers = record.pop("tokens", None), record.pop("diagnostics")
            rows.write(json_line(record))
            if beside is not None:
                beside.write(json_line(numbers))
            if table is not None:
                table.add(numbers, tokens)
            totals["rows"] += 1
            totals["tokens"] += numbers["tokens"]
            totals["ended"] += bool(numbers["ended"])
    # `complete` asks for the output and the run's file, so these two get their names last.
    for target in reversed(targets):
        if target is workspace.output:
            replace_file(workspace.run, json_bytes({**workspace.stored(), "totals": totals}))
        parts[target].replace(target)
    sync_folder(workspace.output.parent)
    workspace.sweep()
    return totals


def _records(places: Mapping[int, Place], count: int) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        files = {path: stack.enter_context(path.open("rb")) for path in {place.shard for place in places.values()}}
        for row in range(count):
            place = places[row]
            file = files[place.shard]
            file.seek(place.offset)  # batches are sorted by length, so rows are scattered over the shards
            record: dict[str, Any] = json.loads(file.read(place.length))["record"]
            yield record


@contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


class _TokenTable:
    """A parquet file with a row per token, written one row group at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: dict[str, list[Any]] = {}
        self._writer: Any = None

    def __enter__(self) -> _TokenTable:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:  # also after an error, to let go of the file
            self._writer.close()
        if kind is None:
            with self._path.open("rb+") as file:
                os.fsync(file.fileno())

    def add(self, numbers: Mapping[str, Any], tokens: Mapping[str, list[Any]]) -> None:
        """Append the tokens of one answer."""
        count = len(tokens["token_id"])
        labels = {name: [numbers[name]] * count for name in ("sample_idx", "key", "answer_idx")}
        for name, values in {**labels, "position": list(range(count)), **tokens}.items():
            self._columns.setdefault(name, []).extend(values)
        if len(self._columns["token_id"]) >= TOKEN_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as arrow  # type: ignore[import-untyped]  # heavy, and only parquet needs it
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]

        # Keys are hashes of 63 bits; columns not named here were computed in float32.
        whole = {"sample_idx": arrow.int64(), "key": arrow.int64()} | dict.fromkeys(
            ("answer_idx", "position", "token_id"), arrow.int32()
        )
        table = arrow.table(
            {name: arrow.array(v, type=whole.get(name, arrow.float32())) for name, v in self._columns.items()}
        )
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._columns = {name: [] for name in self._columns}
