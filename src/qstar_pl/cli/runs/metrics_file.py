"""metrics.csv: rows are appended; a new column replaces the file in one step, so that it is never missing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from qstar_pl.errors import UserError
from qstar_pl.files import naming, replacing

METRICS = ExperimentWriter.NAME_METRICS_FILE


class MetricsFile(ExperimentWriter):
    """Lightning's writer deletes the file that it finds, and truncates it to write a new header; this one does not.

    What the file holds when the first rows are saved stays, except a last line that a kill has cut short.
    """

    def __init__(self, log_dir: str) -> None:
        """Describe the file; nothing is touched before something is logged."""
        # The base class's __init__ is left out: it makes the folder and deletes a file that is there.
        self.path = Path(log_dir) / self.NAME_METRICS_FILE
        self.log_dir = log_dir
        self.metrics_file_path = str(self.path)
        self.metrics: list[dict[str, Any]] = []
        self.metrics_keys: list[str] = []
        self.hparams: dict[str, Any] = {}
        self.before_writing: Callable[[], None] = lambda: None
        """Called before each write; raises if another run has this folder by now."""
        self._rows: int | None = None

    def log_hparams(self, params: dict[str, Any]) -> None:
        """Make the folder, then do as Lightning's."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        super().log_hparams(params)

    @property
    def rows(self) -> int:
        """How many whole rows the file has."""
        if self._rows is None:
            header, ends = _layout(self.path)
            # Bytes after the last whole row are a row that a kill has cut short.
            if ends and ends[-1] < self.path.stat().st_size:
                os.truncate(self.path, ends[-1])
            self.metrics_keys, self._rows = header, max(len(ends) - 1, 0)  # without the header
        return self._rows

    def save(self) -> None:
        """Append what was logged since the last call; it is on disk when this returns."""
        if not self.metrics:
            return
        try:
            self.before_writing()
        except UserError:
            self.metrics = []  # Lightning saves once more when a run fails
            raise
        count = self.rows + len(self.metrics)
        columns = sorted({*self.metrics_keys, *(key for row in self.metrics for key in row)})
        if columns == self.metrics_keys and self.path.exists():
            self._append()
        else:
            with replacing(self.path) as beside:
                beside.write_text(_text([*_read(self.path), *self.metrics], columns, header=True), "utf-8", newline="")
        self.metrics_keys, self._rows, self.metrics = columns, count, []

    def cut(self, count: int | None) -> None:
        """Keep only the first rows.

        Args:
            count: how many; None: all of them.

        """
        if count is None or count >= self.rows:
            return
        os.truncate(self.path, _layout(self.path)[1][count])  # index 0 is the header, so this is the end of row `count`
        self._rows = count

    def _append(self) -> None:
        before = self.path.stat().st_size
        try:
            with naming(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(_text(self.metrics, self.metrics_keys))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(self.path, before)  # a full disk: the next row must not follow half a row
            raise


def keep_rows(logger: CSVLogger) -> None:
    """Let a logger that has written nothing yet write through a `MetricsFile`; to be called on rank zero."""
    if "://" not in str(logger.log_dir):
        logger._experiment = MetricsFile(log_dir=logger.log_dir)


def count_rows(path: Path) -> int:
    """Return how many whole rows a metrics.csv has; 0 if there is none."""
    return max(len(_layout(path)[1]) - 1, 0)


def _layout(path: Path) -> tuple[list[str], list[int]]:
    """Return (the header, at which byte it and each whole row ends)."""
    if not path.exists():
        return [], []
    header: list[str] = []
    ends: list[int] = []
    with path.open("rb") as file:
        lines = _Lines(file)
        # The reader takes lines only as a row needs them (a quoted cell may span several), so after each row the
        # position is that row's end.
        for cells in csv.reader(lines):
            if not lines.whole:
                break
            header = header or cells
            ends.append(lines.position)
    return header, ends


class _Lines:
    """The lines of a file, and how far it has been read, in bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.position = 0
        self.whole = True

    def __iter__(self) -> Iterator[str]:
        for line in self.file:
            self.position += len(line)
            self.whole = line.endswith(b"\n")
            yield line.decode("utf-8", errors="replace")


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _text(rows: list[dict[str, Any]] | list[Mapping[str, Any]], columns: list[str], *, header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
