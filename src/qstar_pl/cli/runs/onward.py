"""The command that continues a run that has ended."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

from qstar_pl.cli.layers.defaults import MAX_STEPS, RUNS
from qstar_pl.cli.layers.given import given_by
from qstar_pl.cli.layers.resume import LAST, find_last
from qstar_pl.cli.shipped import with_configurations
from qstar_pl.cli.words import without


def onward(typed: Sequence[str], name: str, checkpoint: Path | None, *more: str) -> str:
    """Return the command that continues from a checkpoint: the user's own words, and more.

    Args:
        typed: the words after `qstar`.
        name: of the run.
        checkpoint: its newest one; None if there is none, so that the run starts again.
        more: options and their values.

    """
    words = without(typed, "--ckpt_path", *more[::2])  # `more` alternates names and values
    if checkpoint is None:
        return shlex.join(["qstar", *words, *more])
    given = given_by("fit", with_configurations(words))
    # `last` is shorter, and right as long as it would find this very checkpoint.
    newest = find_last(given.trainer.get("default_root_dir") or RUNS, name)
    if newest is None or newest.resolve() != checkpoint.resolve():
        return shlex.join(["qstar", *words, "--ckpt_path", str(checkpoint), *more])
    called = [] if given.run_name == name else ["--name", name]
    return shlex.join(["qstar", *words, *called, "--ckpt_path", LAST, *more])


def longer(trainer: Trainer, taken: int, epochs_taken: int) -> list[str]:
    """Return the options that make a run twice as long which has ended by itself after so many steps and epochs."""
    options = list[str]()
    if 0 <= trainer.max_steps <= taken:
        options += ["--trainer.max_steps", str(2 * taken or MAX_STEPS)]
    epochs = trainer.fit_loop.max_epochs
    if epochs is not None and 0 <= epochs <= epochs_taken:
        options += ["--trainer.max_epochs", str(2 * epochs_taken or 1)]
    timers = [one for one in trainer.callbacks if isinstance(one, Timer)]  # type: ignore[attr-defined]
    spent = max((one.time_elapsed() for one in timers if (one.time_remaining() or 1) <= 0), default=None)
    return options if spent is None else [*options, "--trainer.max_time", clock(2 * spent)]


def clock(seconds: float) -> str:
    """Return a time as max_time is written: days:hours:minutes:seconds."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return ":".join(f"{part:02d}" for part in (*divmod(hours, 24), minutes, rest))


def short(path: str | Path) -> Path:
    """Return a path, relative to the current folder if it lies inside."""
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
