"""The checkpoints of a run, looked at without torch."""

from __future__ import annotations

import io
import pickletools  # nosec B403 - reads the stream's operations and runs none of them
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qstar_pl.run_folders.places import CHECKPOINTS

_STEP = re.compile(r"step=(\d+)")
_HEAD = 1 << 16
"""Bytes of a pickle's beginning in which Lightning's `global_step` lies."""
_INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1", "INT")
_SHARDED_SETTINGS = "meta.pt"
"""What a sharded checkpoint, a folder, keeps beside its shards."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint."""

    path: Path
    step: int | None
    """Optimizer steps taken by then; None if it does not say."""
    size: int
    """In bytes."""


def named_step(name: str) -> int | None:
    """Return the step that the name of a checkpoint says: 200 for "epoch=0-step=200.ckpt"."""
    match = _STEP.search(name)
    return int(match[1]) if match else None


def saved_in(folder: Path) -> list[Saved]:
    """Return a run's checkpoints, the newest first; what cannot be read has no step."""
    found = list[Saved]()
    try:
        paths = [one for one in (folder / CHECKPOINTS).glob("[!.]*.ckpt") if one.exists()]
        for path in paths:
            step = named_step(path.name)
            files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
            size = sum(one.stat().st_size for one in files)
            found.append(Saved(path, stored_step(path) if step is None else step, size))
    except OSError:  # being removed in this moment, or not to be read
        pass
    return sorted(found, key=lambda one: (one.step or -1, one.path.name), reverse=True)


def stored_step(path: Path) -> int | None:
    """Return the `global_step` that a checkpoint holds; None if none is found."""
    try:
        with zipfile.ZipFile(path / _SHARDED_SETTINGS if path.is_dir() else path) as archive:
            name = next(one for one in archive.namelist() if one.endswith("/data.pkl"))
            with archive.open(name) as file:
                return next(_after("global_step", file.read(_HEAD)), None)
    except (OSError, zipfile.BadZipFile, StopIteration, NotImplementedError, EOFError):
        return None


def _after(key: str, pickled: bytes) -> Iterator[int]:
    """Yield the integers that follow a key in a pickle's operations."""
    seen = False
    try:
        for operation, argument, _ in pickletools.genops(io.BytesIO(pickled)):
            if isinstance(argument, str):
                seen = argument == key
            elif seen and operation.name in _INTEGERS:  # not the numbers by which the stream refers to itself
                yield int(str(argument))
    except ValueError:  # the end of what was read
        return
