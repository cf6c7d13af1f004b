"""Equal runs of other cells and experiments, which are taken over instead of being run again.

Equal are runs of the same settings, seed and code: their numbers are the same, bit for bit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.run_folder import ASKED, BUSY, PARTS, RunFolder
from qstar_pl.files import replacing
from qstar_pl.run_folders.places import CHECKPOINTS, LOCK
from qstar_pl.spelling import counted

_LOCKS = shutil.ignore_patterns(BUSY, LOCK)


@dataclass(frozen=True)
class Reuse:
    """Where finished runs are looked for."""

    places: Sequence[Path]
    """Folders of results folders, such as `runs/experiments`."""

    def find(self, run: PlannedRun) -> RunFolder | None:
        """Return a finished run that is equal; None if there is none, or if the run's own folder is in use.

        In the run's own experiment the code may be another: what has finished there stays, see `prepare`.
        """
        asked = run.folder.asked
        submitted = asked is not None and asked.job is not None and run.folder.exit is None
        if submitted or run.state in ("finished", "running", "changed"):
            return None
        found = [one for one in self._folders(run) if one.path.resolve() != run.folder.path.resolve()]
        return min((one for one in found if _is_equal(one, run)), key=lambda one: _order(one, run), default=None)

    def take(self, run: PlannedRun) -> str | None:
        """Copy an equal run that has finished, whole or not at all; return where it was run, None if there is none."""
        found = self.find(run)
        lock = None if found is None else found.lock()  # so that nobody begins it anew in the meantime
        if found is None or lock is None:
            return None
        with lock:
            asked = found.asked
            if asked is None or not _is_equal(found, run, alive=False):
                return None
            if run.folder.asked is not None:
                run.folder.put_aside()
            origin = asked.origin or found.place
            taken = json.dumps(asdict(replace(asked, command=run.command, job=None, origin=origin)))
            try:
                with replacing(run.folder.path) as beside:
                    shutil.copytree(found.path, beside, copy_function=_copied, ignore=_LOCKS)
                    (beside / ASKED).write_text(f"{taken}\n", encoding="utf-8")
            except OSError:  # it was put aside in the meantime, or the disk is full, which the run itself will say
                return None
        return origin

    def _folders(self, run: PlannedRun) -> Iterator[RunFolder]:
        """Yield the folders of all runs with the same seed."""
        own = run.folder.output
        for output in dict.fromkeys([own, *(one for place in self.places for one in sorted(place.glob("*")))]):
            for part in PARTS:
                for file in output.glob(f"{part}/*/{run.folder.name}/{ASKED}"):
                    yield RunFolder(output, file.parents[1].name, run.seed, part)


def take_over(runs: Sequence[PlannedRun], reuse: Reuse | None) -> tuple[list[PlannedRun], list[str]]:
    """Return the runs for which no equal one has finished, and what there is to say about the others."""
    left, taken = list[PlannedRun](), Counter[str]()
    for run in runs:
        origin = None if reuse is None else reuse.take(run)
        if origin is None:
            left.append(run)
        else:
            taken[origin.partition("/")[0]] += 1
    return left, [f"{counted(count, 'run')} taken over from {name}" for name, count in taken.items()]


def _is_equal(folder: RunFolder, run: PlannedRun, alive: bool = True) -> bool:
    """Return whether a folder holds a finished run that is equal; `alive`: look whether it is at work, too."""
    asked = folder.asked
    if asked is None or asked.digest != run.settings.digest or folder.exit != 0 or folder.metrics is None:
        return False
    same_code = asked.code == run.code or folder.output.resolve() == run.folder.output.resolve()
    return same_code and not (folder.is_alive() if alive else folder.is_written())


def _order(folder: RunFolder, run: PlannedRun) -> tuple[bool, bool, str]:
    """Return what puts the run's own experiment first, then what has been run and not taken over."""
    asked = folder.asked
    elsewhere = folder.output.resolve() != run.folder.output.resolve()
    return elsewhere, asked is not None and asked.origin != "", str(folder.path)


def _copied(source: str, target: str) -> str:
    """Link a checkpoint, which is only ever replaced as a whole, and copy what a run may append to."""
    if CHECKPOINTS in Path(source).parts:
        try:
            os.link(source, target)
            return target
        except OSError:  # another file system
            pass
    return str(shutil.copy2(source, target))
