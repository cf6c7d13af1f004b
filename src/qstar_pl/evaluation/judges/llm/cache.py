"""Verdicts on disk: none is paid twice, whatever is killed, and whoever else judges at the same time."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.reply import Usage
from qstar_pl.files import naming

LOOK_S = 1.0
"""Seconds after which what others have written meanwhile is looked for again."""
FLUSH_S = 1.0
"""A crash of the machine loses at most the verdicts of so many seconds; a kill loses none that was written."""


@dataclass(frozen=True)
class Judgment:
    """What a model said to one request."""

    value: float | None
    """Of a pair, how far the answer shown first is preferred, in [0, 1]; or the score of an answer."""
    reason: str | None
    """Why there is no value."""
    usage: Usage | None
    weighted: bool = False
    """Whether the value was formed from log-probabilities."""

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        usage = None if self.usage is None else {"prompt": self.usage.prompt, "completion": self.usage.completion}
        return {
            "value": self.value,
            "reason": self.reason,
            "tokens": usage,
            "weighted": self.weighted,
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Judgment:
        """Return what `as_json` has written.

        Raises:
            ValueError, KeyError, TypeError: if it is something else.

        """
        value, reason, tokens = kept["value"], kept["reason"], kept["tokens"]
        if value is None and not reason:
            raise ValueError("neither a value nor a reason")
        usage = None if tokens is None else Usage(int(tokens["prompt"]), int(tokens["completion"]))
        return cls(None if value is None else float(value), reason, usage, bool(kept["weighted"]))


class Cache:
    """A folder of JSON lines: each process appends to a file of its own, and reads all of them.

    So nothing is locked, which network file systems do badly, and only a file's last line can be torn. Of
    several lines with one key the first counts that has a value.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder, if it is not there, and read it.

        Raises:
            UserError: if it cannot be used.

        """
        self.folder = folder
        self._found: dict[str, Judgment] = {}
        self._ends: dict[str, int] = {}
        self._unfinished: set[str] = set()
        self._damaged = 0
        self._lock = threading.Lock()
        self._own: int | None = None
        self._path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:12]}.jsonl"
        self._flushed = self._looked = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._look()
        except OSError as error:
            raise UserError(f"cache must name a folder that can be used, got {folder}: {error.strerror}") from error

    @property
    def torn(self) -> int:
        """Lines that hold no verdict: torn by a kill or a full disk, or damaged. They are asked anew."""
        return self._damaged + len(self._unfinished)

    def find(self, key: str) -> Judgment | None:
        """Return what is known of a request, also from other processes."""
        with self._lock:
            if key not in self._found and time.monotonic() - self._looked > LOOK_S:
                self._look()
            return self._found.get(key)

    def keep(self, key: str, judgment: Judgment, facts: Mapping[str, Any]) -> None:
        """Write a judgment.

        Args:
            key: of the request.
            judgment: what came of it.
            facts: what is written beside it for whoever reads the file, such as the model's words.

        Raises:
            OSError: if it cannot be written, with the file's name.

        """
        line = json.dumps({"key": key, **facts, **judgment.as_json()}).encode() + b"\n"
        with self._lock, naming(self._path):
            if self._own is None:
                self._own = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            # One call, not buffered: a kill comes before it or after it.
            try:
                written = os.write(self._own, line)
                while written < len(line):
                    written += os.write(self._own, line[written:])
            except OSError:  # what is kept next must not stand behind half a line
                self._begin_another()
                raise
            self._found[key] = judgment
            if time.monotonic() - self._flushed > FLUSH_S:
                os.fsync(self._own)
                self._flushed = time.monotonic()

    def flush(self) -> None:
        """Let what is written survive a crash of the machine too."""
        with self._lock:
            if self._own is not None:
                os.fsync(self._own)

    def close(self) -> None:
        """Flush and close this process's file; a later `keep` begins another."""
        with self._lock:
            if self._own is not None:
                os.fsync(self._own)
                self._begin_another()

    def _begin_another(self) -> None:
        """Leave this process's file as it is; a later `keep` begins another."""
        assert self._own is not None
        os.close(self._own)
        self._own = None
        self._path = self._path.with_stem(f"{self._path.stem}-{uuid.uuid4().hex[:6]}")

    def _look(self) -> None:
        """Read what has been added since."""
        self._looked = time.monotonic()
        for path in sorted(self.folder.glob("*.jsonl")):
            if path == self._path:
                continue
            end = self._ends.get(path.name, 0)
            if path.stat().st_size <= end:
                continue
            with path.open("rb") as file:
                file.seek(end)
                whole, newline, rest = file.read().rpartition(b"\n")
            self._ends[path.name] = end + len(whole) + len(newline)
            (self._unfinished.add if rest else self._unfinished.discard)(path.name)
            for line in whole.split(b"\n"):
                if line.strip():
                    self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            kept = json.loads(line)
            key, judgment = str(kept["key"]), Judgment.of_json(kept)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._damaged += 1
            return
        before = self._found.get(key)
        if before is None or before.value is None:
            self._found[key] = judgment
