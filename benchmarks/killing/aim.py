"""Named moments of a training run, and a process that kills itself at one of them."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from qstar_pl import files
from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.cli.runs import metrics_file
from qstar_pl.run_folders.finished import Finished

EVERY_COLUMN = 7
"""Steps between two new columns of metrics.csv: each rewrites the file."""
ANYWHERE = ("rollout", "backward", "optimizer step", "validation", "last validation")
"""Moments that every process has; the others are the first one's."""
MOMENTS = (
    "start-up",
    *ANYWHERE,
    "checkpoint half written",
    "checkpoint not renamed",
    "old checkpoint not removed",
    "metrics.csv",
    "end",
)


@dataclass(frozen=True)
class Kill:
    """Where a run is to be killed."""

    moment: str
    step: int
    """The first time that this moment comes when so many steps have been taken."""
    whom: str
    """all, rank 0 or rank 1."""
    variant: float
    """In [0, 1): before or after, or how long after the beginning."""

    def now(self) -> None:
        """Do it."""
        if self.whom == "all":
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


class Watch(Callback):
    """Kills its process at a moment; and logs a new column of metrics now and then, also where nothing is killed."""

    def __init__(self, kill: Kill | None) -> None:
        self.kill = kill
        self.step = 0

    def at(self, moment: str) -> bool:
        """Return whether this is the moment."""
        return self.kill is not None and self.kill.moment == moment and self.step >= self.kill.step

    def reach(self, moment: str) -> None:
        """Kill if it is."""
        if self.at(moment):
            assert self.kill is not None
            self.kill.now()

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.step = trainer.global_step
        if self.at("rollout") and self.kill is not None:
            threading.Timer(0.2 * self.kill.variant, self.kill.now).start()

    def on_before_backward(self, *_: Any) -> None:
        self.reach("backward")

    def on_before_optimizer_step(self, *_: Any) -> None:
        self.reach("optimizer step")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        before, self.step = self.step, trainer.global_step
        if self.step // EVERY_COLUMN > before // EVERY_COLUMN:
            for logger in trainer.loggers:
                logger.log_metrics({f"column/{self.step // EVERY_COLUMN}": 1.0}, self.step)

    def on_validation_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.step = trainer.global_step
        self.reach("validation")
        if trainer.global_step >= trainer.max_steps:
            self.reach("last validation")


def aim(kill: Kill | None) -> None:
    """Make this process, forked for one run, watch for the moment of its death."""
    watch = Watch(kill)
    fit, save, append = Trainer.fit, torch.save, metrics_file.MetricsFile._append
    write, replacing, mark = AtomicCheckpointIO.save_checkpoint, files.replacing, Finished.write

    @functools.wraps(fit)
    def watched(trainer: Trainer, *args: Any, **options: Any) -> None:
        trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
        fit(trainer, *args, **options)

    def save_half(contents: Any, path: Any, *args: Any, **options: Any) -> None:
        if watch.at("checkpoint half written") and kill is not None:
            whole = io.BytesIO()
            save(contents, whole)
            Path(path).write_bytes(whole.getvalue()[: int(kill.variant * whole.tell())])
            kill.now()
        save(contents, path, *args, **options)
        watch.reach("checkpoint not renamed")

    def written(self: Any, *args: Any, **options: Any) -> None:
        write(self, *args, **options)
        watch.reach("old checkpoint not removed")

    def append_half(self: Any) -> None:
        if watch.at("metrics.csv") and kill is not None and kill.variant < 0.5:
            text = metrics_file._text(self.metrics, self.metrics_keys)
            with self.path.open("a", newline="") as file:
                file.write(text[: int(2 * kill.variant * len(text))])
            kill.now()
        append(self)
        watch.reach("metrics.csv")

    @contextlib.contextmanager
    def rewriting(path: Path) -> Any:
        with replacing(path) as beside:
            yield beside
            if kill is not None and kill.variant < 0.5:
                watch.reach("metrics.csv")
        watch.reach("metrics.csv")

    def marking(self: Any, folder: Path) -> None:
        watch.reach("end")
        mark(self, folder)

    Trainer.fit = watched  # type: ignore[method-assign, assignment]
    torch.save = save_half  # type: ignore[assignment]
    AtomicCheckpointIO.save_checkpoint = written  # type: ignore[method-assign]
    metrics_file.MetricsFile._append = append_half  # type: ignore[method-assign]
    metrics_file.replacing = rewriting  # type: ignore[attr-defined]
    Finished.write = marking  # type: ignore[method-assign]
    if kill is not None and kill.moment == "start-up":
        threading.Timer(5.0 * kill.variant, kill.now).start()
