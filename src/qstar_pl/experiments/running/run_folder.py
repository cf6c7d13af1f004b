"""A run of an experiment on disk: what it was asked to do, whether it has ended, and what it left."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from qstar_pl.files import write_text
from qstar_pl.locks import last_holder
from qstar_pl.run_folders.places import CHECKPOINTS, LOCK, METRICS, VERSION

EARLIER = "earlier"
"""Beside `cells`: folders of runs whose configuration has changed since, and of those that died before they saved."""
CELLS, TUNING = "cells", "tuning"
PARTS = (CELLS, TUNING)
"""Folders in a results folder that hold runs."""
SEED = "seed_"
LAST = "last.ckpt"
ASKED, BUSY = "asked.json", ".busy"
_KILLED = 128
"""Exit codes above it: a signal's number more."""
_NAMED = ("error: ", "RuntimeError", "Error: ")


@dataclass(frozen=True)
class Asked:
    """What a run was asked to do."""

    digest: str
    settings: Mapping[str, Any]
    code: str
    """Version of the package that began it."""
    command: str
    """That repeats it."""
    began: float = field(default_factory=time.time)
    """When it was last started, in seconds since 1970."""
    job: str | None = None
    """The cluster's number of its job."""
    origin: str = ""
    """Where it was run, if it was taken over: "<results folder>/cells/<cell>/seed_<n>"."""


class RunFolder:
    """Where one run lies: `cells/<cell>/seed_<n>`, with the folder of `qstar fit` in it."""

    def __init__(self, output: Path, cell: str, seed: int, part: str = CELLS) -> None:
        self.output = output
        self.cell = cell
        self.seed = seed
        self.root = output / part / cell
        """`trainer.default_root_dir`."""
        self.name = f"{SEED}{seed}"
        self.path = self.root / self.name
        self.log = self.path / "log.txt"
        self._asked, self._exit, self._busy = (self.path / one for one in (ASKED, "exit", BUSY))

    @property
    def place(self) -> str:
        """Where it is, from the folder of results folders on."""
        return f"{self.output.resolve().name}/{self.path.relative_to(self.output).as_posix()}"

    @property
    def exit_file(self) -> Path:
        """Holds the exit code once the run has ended by itself."""
        return self._exit

    @property
    def asked(self) -> Asked | None:
        """What it was asked to do; None before the first start, or if that cannot be read."""
        try:
            return Asked(**json.loads(self._asked.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def exit(self) -> int | None:
        """The exit code; None while it runs, or if it was stopped."""
        try:
            return int(self._exit.read_text())
        except (OSError, ValueError):
            return None

    def begin(self, asked: Asked) -> None:
        """Note what is about to run."""
        self._exit.unlink(missing_ok=True)
        write_text(self._asked, json.dumps(asdict(asked)) + "\n")

    def end(self, code: int) -> None:
        """Note that it has ended by itself."""
        write_text(self._exit, f"{code}\n")

    def fail(self, asked: Asked, reason: str) -> None:
        """Note that it cannot be run, as if it had failed."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.begin(asked)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{_NAMED[0]}{reason}\n")
        self.end(1)

    def seconds(self) -> float | None:
        """Return what the last start took, in seconds; None if it has not ended."""
        asked = self.asked
        try:
            return None if asked is None else max(0.0, self._exit.stat().st_mtime - asked.began)
        except OSError:
            return None

    def version(self) -> Path | None:
        """Return the folder that `qstar fit` wrote; None if there is none."""
        found = [one for one in self.path.glob(f"{VERSION}*") if one.name.removeprefix(VERSION).isdecimal()]
        return max(found, key=lambda one: int(one.name.removeprefix(VERSION)), default=None)

    @property
    def last_checkpoint(self) -> Path:
        """Where a run that has finished has left its last checkpoint."""
        return self.path / f"{VERSION}0" / CHECKPOINTS / LAST

    @property
    def metrics(self) -> Path | None:
        """Its metrics.csv; None if nothing has been logged."""
        version = self.version()
        return version / METRICS if version is not None and (version / METRICS).is_file() else None

    def lock(self) -> IO[bytes] | None:
        """Return an open file that no other process has, to be inherited by the run's process; None if one has it.

        The lock lasts until the last process that inherited it ends, even if whoever started it was killed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = self._busy.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    def is_written(self) -> bool:
        """Return whether a `qstar fit` says that it writes there, on this machine or another."""
        version = self.version()
        holder = None if version is None else last_holder(version / LOCK)
        return holder is not None and holder[1]

    def is_alive(self) -> bool:
        """Return whether the process of a run is there, also before it writes anything."""
        if self.is_written():
            return True
        if not self._busy.exists():
            return False
        file = self.lock()
        if file is not None:
            file.close()
        return file is None

    def reason(self) -> str:
        """Return why it failed, in a line from its log."""
        with suppress(OSError):
            lines = [one.strip() for one in self.log.read_text(encoding="utf-8", errors="replace").splitlines()]
            lines = [one for one in lines if one]
            for line in reversed(lines):
                if line.startswith(_NAMED) or _NAMED[-1] in line:
                    return line.removeprefix(_NAMED[0])
            if (code := self.exit) is not None and code > _KILLED:  # its last line is no reason
                return f"it was killed by signal {code - _KILLED}"
            if lines:
                return lines[-1]
        return "it wrote nothing"

    def put_aside(self) -> Path:
        """Move everything out of the way, and return where it is."""
        return _moved(self.path, self.output / EARLIER / self.cell / self.name)

    def clear_unsaved(self) -> None:
        """Move folders without a checkpoint out of the way: the next start begins anew, in the first folder again."""
        for version in self.path.glob(f"{VERSION}*"):
            if not list((version / CHECKPOINTS).glob("[!.]*.ckpt")):
                _moved(version, self.output / EARLIER / self.cell / f"{self.name}_{version.name}")


def seeds_in(output: Path, cell: str, part: str = CELLS) -> list[int]:
    """Return the seeds of which a cell has folders."""
    names = [one.name.removeprefix(SEED) for one in (output / part / cell).glob(f"{SEED}*")]
    return sorted(int(name) for name in names if name.isdecimal())


def _moved(source: Path, wanted: Path) -> Path:
    number, place = 0, wanted
    while place.exists():
        number += 1
        place = wanted.with_name(f"{wanted.name}.{number}")
    place.parent.mkdir(parents=True, exist_ok=True)
    return source.rename(place)
