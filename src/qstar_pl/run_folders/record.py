"""A run as its folder shows it: what it was to do, how far it came, and whether it still runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qstar_pl.errors import UserError
from qstar_pl.locks import last_holder
from qstar_pl.run_folders.find import name_of
from qstar_pl.run_folders.finished import Finished
from qstar_pl.run_folders.metrics import Metrics, read_tail
from qstar_pl.run_folders.places import CHECKPOINTS, CONFIG, LOCK, MEASURING, METRICS
from qstar_pl.run_folders.saved import named_step
from qstar_pl.run_folders.settings import Settings, read_settings

State = Literal["running", "finished", "killed", "stopped", "measured"]
STATES: tuple[State, ...] = ("running", "finished", "killed", "stopped", "measured")
"""A live process holds the lock; all steps are taken; a dead process left its lock; ended before its last
step, by Ctrl-C, a signal or an error; written by validate, test or predict."""


@dataclass(frozen=True)
class Record:
    """One run folder."""

    folder: Path
    root: Path
    """The folder of all runs."""
    name: str
    """With its version, below the folder of all runs."""
    settings: Settings
    state: State
    step: int | None
    """Optimizer steps taken, as far as the folder shows; None if it shows none."""
    metrics: dict[str, float]
    """The last values that were logged."""
    started: float
    """When its configuration was written, in seconds since 1970: a run that is resumed writes it again."""
    active: float
    """When it last wrote something, in seconds since 1970."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What could not be read, one line each."""

    @classmethod
    def read(cls, folder: Path, root: Path, wanted: Collection[str] = ()) -> Record:
        """Read a run folder; nothing in it is an error.

        Args:
            folder: of the run.
            root: the folder of all runs.
            wanted: metrics to look for further back than in the last rows.

        """
        notices = list[str]()
        settings, metrics = Settings(), Metrics((), ())
        try:
            settings = read_settings(folder)
        except UserError as error:
            notices.append(str(error))
        try:
            if (folder / METRICS).exists():
                metrics = read_tail(folder / METRICS, wanted)
        except (UserError, OSError) as error:
            notices.append(str(error))
        step = max((one for one in (metrics.step(), *_saved_steps(folder)) if one is not None), default=None)
        times = [_modified(folder / one) for one in (CONFIG, METRICS, CHECKPOINTS, LOCK)]
        known = [one for one in times if one is not None] or [_modified(folder) or time.time()]
        return cls(
            folder=folder,
            root=root,
            name=name_of(folder, root),
            settings=settings,
            state=_state(folder, settings, step),
            step=step,
            metrics=metrics.last(),
            started=known[0],
            active=max(known),
            notices=tuple(notices),
        )


def _state(folder: Path, settings: Settings, step: int | None) -> State:
    left = last_holder(folder / LOCK)
    if left is not None:
        return "running" if left[1] else "killed"
    if folder.parent.name in MEASURING:
        return "measured"
    finished = Finished.in_folder(folder / CHECKPOINTS)
    # A finished run that was continued and then stopped has steps beyond those with which it had finished.
    if finished is not None and finished.step >= (step or 0):
        return "finished"
    taken = step or 0
    return "finished" if settings.max_steps is not None and taken >= settings.max_steps else "stopped"


def _saved_steps(folder: Path) -> Iterable[int]:
    finished = Finished.in_folder(folder / CHECKPOINTS)
    if finished is not None:
        yield finished.step
    try:
        names = [one.name for one in (folder / CHECKPOINTS).iterdir()]
    except OSError:
        return
    yield from (step for name in names if (step := named_step(name)) is not None)


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
