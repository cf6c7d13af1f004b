"""The files of one generated dataset, and whether they belong to the requested run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.describing import differences
from qstar_pl.errors import UserError
from qstar_pl.files import check_not_read
from qstar_pl.generation.plan import Plan
from qstar_pl.generation.shard import Place, repair, scan

FORMAT = 2
SUFFIX = ".jsonl"
_OWN = re.compile(r"shard-\d+\.jsonl$|.*\.part$")
"""Files of a work folder beside its run.json."""


@dataclass(frozen=True)
class Workspace:
    """Where the files lie, for an `output` of out.jsonl.

    During the run, everything is in out.jsonl.work/: the settings (run.json) and the finished batches (one shard per
    process). At the end they become out.jsonl, out.diagnostics.jsonl, out.tokens.parquet and out.run.json; out.jsonl
    comes last, so if it is there, all are.
    """

    output: Path

    def __post_init__(self) -> None:
        if self.output.suffix != SUFFIX and not self.output.is_dir():
            raise UserError(f"output must end in {SUFFIX}, since a JSON object per line is written, got {self.output}")

    @property
    def work(self) -> Path:
        """The folder of the unfinished run."""
        return self.output.with_name(f"{self.output.name}.work")

    @property
    def lock(self) -> Path:
        """The lock of the run that writes."""
        return self.output.with_name(f".{self.output.name}.lock")

    def __str__(self) -> str:
        return f"output must be a file that no other run is writing, got {self.output}"

    @property
    def diagnostics(self) -> Path:
        """A line per answer."""
        return self.output.with_name(f"{self.output.stem}.diagnostics.jsonl")

    @property
    def tokens(self) -> Path:
        """A row per token."""
        return self.output.with_name(f"{self.output.stem}.tokens.parquet")

    @property
    def run(self) -> Path:
        """Settings, fingerprints and totals of the finished run."""
        return self.output.with_name(f"{self.output.stem}.run.json")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a finished run leaves, the output first."""
        return self.output, self.run, self.diagnostics, self.tokens

    def shard(self, rank: int) -> Path:
        """The file that process `rank` appends to."""
        return self.work / f"shard-{rank:05d}.jsonl"

    def shards(self) -> list[Path]:
        """All shards, including those of an earlier run on more processes."""
        return sorted(self.work.glob("shard-*.jsonl"))

    @property
    def complete(self) -> bool:
        """Whether a run has ended here."""
        return self.output.is_file() and self.run.is_file()

    def stored(self) -> dict[str, Any]:
        """Return the identity of the finished or unfinished run in this place; empty if there is none.

        Raises:
            UserError: if the output is a file that no run has written, or the stored identity is damaged.

        """
        if self.output.exists() and not self.complete:
            raise UserError(
                f"output must not be a file that `qstar generate` did not write, got {self.output}; "
                "name another or give --overwrite"
            )
        source = self.run if self.complete else self.work / "run.json"
        if not source.is_file():
            return {}
        try:
            stored = json.loads(source.read_text(encoding="utf-8"))
            return dict(stored)
        except (ValueError, TypeError) as error:
            raise UserError(f"output: {source} is damaged ({error}); give --overwrite to begin anew") from error

    def check(self, asked: Mapping[str, Any]) -> None:
        """Compare a run's identity with that of the run in this place, as far as `asked` goes.

        A run that stopped before its first batch left nothing to lose, so another may take its place.

        Args:
            asked: any of "settings", "data", "models" with their values.

        Raises:
            UserError: if they differ; the message says how.

        """
        # A part that is not stored yet, such as the models before they were first loaded, cannot differ.
        stored = self.stored()
        if (strange := self._strange()) is not None:
            raise UserError(
                f"output must have a place of its own, got {self.output}, where {strange} would be replaced, which "
                "`qstar generate` did not write; name another or give --overwrite"
            )
        changed = [text for part, now in asked.items() if part in stored for text in differences(stored[part], now)]
        if changed and (self.complete or any(path.stat().st_size for path in self.shards())):
            state = "holds another run" if self.complete else "holds another, unfinished run"
            raise UserError(
                f"output {self.output} {state}: {'; '.join(changed)}. Name another output, or give --overwrite"
            )

    def check_apart(self, dataset: str) -> None:
        """Raise UserError where the run would replace the file that it reads, as no `--overwrite` can mean."""
        for path in self.files:
            check_not_read(path, [Path(dataset).expanduser()])

    def check_whole(self, rows: int) -> None:
        """Raise UserError unless a finished run's output still has all its rows."""
        with self.output.open("rb") as file:
            found = sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
        if found != rows:
            raise UserError(
                f"output must be as its run has left it, with {rows} rows, got {self.output} with {found}; "
                "name another or give --overwrite"
            )

    def _strange(self) -> Path | None:
        """Return what lies under a name that the run will use, and is no run's; None: nothing."""
        if self.output.exists() or (self.work / "run.json").is_file():
            return None
        if self.work.exists():
            # Without its settings: of a run that was killed while it was being begun or deleted.
            own = self.work.is_dir() and all(_OWN.match(path.name) for path in self.work.iterdir())
            return None if own else self.work
        beside = [path for path in (self.diagnostics, self.tokens, self.run) if path.exists()]
        return beside[0] if beside and not _is_identity(self.run) else None

    def remember(self, asked: Mapping[str, Any]) -> None:
        """Add to a run's identity in the work folder."""
        if self.work.exists() and not (self.work / "run.json").is_file():
            # Shards with unknown settings: their run was killed while it was being deleted.
            shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
        replace_file(self.work / "run.json", json_bytes({"format": FORMAT, **self.stored(), **asked}))

    def repair(self, plan: Plan) -> int:
        """Cut incomplete ends off all shards; return the number of bytes removed."""
        return sum(repair(path, plan) for path in self.shards())

    def finished(self, plan: Plan) -> dict[int, list[tuple[int, Place]]]:
        """Return the complete batches of all shards with the places of their rows."""
        found: dict[int, list[tuple[int, Place]]] = {}
        for path in self.shards():
            found = {**scan(path, plan).batches, **found}  # a batch in two shards counts once
        return found

    def sweep(self) -> None:
        """Remove the work folder that a finished run left, if it was killed before it could."""
        if self.complete:
            shutil.rmtree(self.work, ignore_errors=True)

    def clear(self) -> None:
        """Delete all files; the output first, so that nothing incomplete looks finished."""
        for path in self.files:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)


def _is_identity(file: Path) -> bool:
    try:
        return "format" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return indented JSON."""
    # A lone surrogate, as in a path that is not UTF-8, cannot be encoded otherwise.
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it appears as a whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power failure, if the system supports that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # pragma: no cover (Windows)
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
