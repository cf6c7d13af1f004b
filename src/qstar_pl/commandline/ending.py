"""How a training run ends, by itself or because it is told to: saved, validated, and with a word on what comes next."""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, Timer

from qstar_pl.checkpoints.pending_validation import make_up_for_validation
from qstar_pl.commandline.defaults import MAX_STEPS, RUNS
from qstar_pl.commandline.given import given_by
from qstar_pl.commandline.interrupt import SIGNALS, Stopped, StopSignals
from qstar_pl.commandline.resume import LAST, find_last
from qstar_pl.commandline.shipped import with_configurations

SAVE_AFTER_S = 600.0
"""Where a `last` is kept, it is at most so old, though steps may take minutes and the best one be long found; s."""
_NO_WRITER = "no checkpoint was saved: trainer.enable_checkpointing is false"


class EndOfRun(Callback):
    """Saves the last step, validates it, and says where it is; stops after a signal, with the step at hand saved.

    A checkpoint is written after a batch that took an optimizer step, by the run's own ModelCheckpoint, as during
    training. The closing validation comes after it, so a run that goes on from there with more steps ends with the
    metrics of one that had them from the beginning.
    """

    def __init__(
        self, words: Sequence[str], name: str, *, validate: bool = False, save_after_s: float | None = None
    ) -> None:
        """Describe the run.

        Args:
            words: behind `qstar`.
            name: of the run.
            validate: whether the last step is validated even if none is due.
            save_after_s: save when so many seconds have passed since the last checkpoint; None: never for that.

        """
        self.words = tuple(words)
        self.name = name
        self.validate = validate
        self.save_after_s = save_after_s
        self.saved: Path | None = None
        """The newest checkpoint, once the run has ended."""
        self._signals: StopSignals | None = None
        self._step = 0
        self._saved_at = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals."""
        self._step, self._saved_at = trainer.global_step, time.monotonic()
        self._signals = StopSignals(trainer)
        self._signals.catch()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save if this was the last step, or a signal makes it the last."""
        if trainer.global_step == self._step or self._signals is None:
            return  # an accumulation window is under way, whose gradients no checkpoint holds
        self._step = trainer.global_step
        due = self.save_after_s is not None and time.monotonic() - self._saved_at >= self.save_after_s
        number, due = self._signals.anywhere(due)
        if number or due or _is_done(trainer):
            self._save(trainer, always=bool(number))
        if number:
            self._stop(trainer, number)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if what was measured ends the run: after training its epoch would count as finished."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self._step > 0 and _is_done(trainer):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what is not saved yet, and validate it."""
        self._save(trainer, at_end=True)
        validated = getattr(pl_module, "validated_step", None) == trainer.global_step
        if self.validate and trainer.enable_validation and self._step > 0 and not validated:
            make_up_for_validation(trainer, trainer.fit_loop.epoch_loop._batches_that_stepped)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave signals alone."""
        if self._signals:
            self._signals.release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """As `teardown`, which is not called then."""
        if self._signals:
            self._signals.release()

    def lines(self, trainer: Trainer) -> list[str]:
        """Return what is to be said about a run that has ended by itself."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return []
        go_on = f"  go on:    {self.command(trainer, *_longer(trainer))}"
        if self._signals is None and trainer.global_step > 0:
            return [f"the run has taken all of its steps before, {trainer.global_step}; nothing was done", go_on]
        if self._step == 0:
            return [f"no step was taken: {_why_none(trainer)}", *([go_on] if _longer(trainer) else [])]
        if self.saved is None:
            return [_NO_WRITER]
        lines = [f"checkpoint: {self.saved}"]
        for writer in _writers(trainer):
            if writer.monitor and writer.best_model_path and writer.best_model_score is not None:
                score = f"{writer.monitor} = {float(writer.best_model_score):.6g}"
                lines.append(f"best: {_short(writer.best_model_path)} ({score})")
        path = shlex.quote(str(self.saved))
        folder = shlex.quote(str(self.saved.parent.parent / "exported"))
        return [
            *lines,
            go_on,
            f"  measure:  qstar test --ckpt_path {path}",
            f"  export:   qstar export --ckpt_path {path} --output {folder}",
        ]

    def command(self, trainer: Trainer, *more: str) -> str:
        """Return the command that goes on from the last checkpoint: the user's own words, and more."""
        words = _without(self.words, "--ckpt_path", *more[::2])
        if self.saved is None and not trainer.ckpt_path:
            return shlex.join(["qstar", *words, *more])  # from the beginning
        given = given_by("fit", with_configurations(words))
        newest = find_last(given.trainer.get("default_root_dir") or RUNS, self.name)
        resumed = self.saved or (Path(trainer.ckpt_path) if trainer.ckpt_path else None)
        if resumed is not None and (newest is None or newest.resolve() != resumed.resolve()):
            return shlex.join(["qstar", *words, "--ckpt_path", str(resumed), *more])
        name = [] if given.run_name == self.name else ["--name", self.name]
        return shlex.join(["qstar", *words, *name, "--ckpt_path", LAST, *more])

    def _save(self, trainer: Trainer, *, always: bool = False, at_end: bool = False) -> None:
        """Write the newest checkpoint as `last`; without a writer, or under `fast_dev_run`, there is none.

        Args:
            trainer: in a run.
            always: also where no writer keeps a `last`, and with all that a run needs to go on.
            at_end: also where no writer has written anything.

        """
        writer = next(iter(sorted(_writers(trainer), key=lambda one: (one.save_weights_only, not one.save_last))), None)
        if writer is None or self._step == 0 or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        options = writer.save_last, writer.save_weights_only
        current = writer._last_global_step_saved == trainer.global_step and not (always and options[1])
        if not current and (always or writer.save_last or (at_end and not writer._last_checkpoint_saved)):
            writer.save_last, writer.save_weights_only = True, options[1] and not always
            writer._save_last_checkpoint(trainer, writer._monitor_candidates(trainer))
            writer.save_last, writer.save_weights_only = options
        self._saved_at = time.monotonic()
        newest = writer.last_model_path or writer._last_checkpoint_saved
        self.saved = _short(newest) if newest else None

    def _stop(self, trainer: Trainer, number: int) -> None:
        if trainer.is_global_zero:
            print(f"stopped by {SIGNALS[signal.Signals(number)]} after step {trainer.global_step}", flush=True)
            saved = f"checkpoint: {self.saved}\n  go on:    {self.command(trainer)}"
            print(_NO_WRITER if self.saved is None else saved, flush=True)
        raise Stopped(number, trainer)


def _writers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]


def _is_done(trainer: Trainer) -> bool:
    """Return whether the batch that has just ended is known to be the last one."""
    loop = trainer.fit_loop
    if (trainer.should_stop and loop._can_stop_early) or 0 <= trainer.max_steps <= trainer.global_step:
        return True
    last_epoch = loop.max_epochs is not None and trainer.current_epoch + 1 == loop.max_epochs
    return last_epoch and loop.epoch_loop._num_ready_batches_reached()


def _longer(trainer: Trainer) -> list[str]:
    """Return the options with which a run that has ended by itself would be twice as long as it is."""
    options = list[str]()
    if 0 <= trainer.max_steps <= trainer.global_step:
        options += ["--trainer.max_steps", str(2 * trainer.global_step or MAX_STEPS)]
    epochs = trainer.fit_loop.max_epochs
    if epochs is not None and 0 <= epochs <= trainer.current_epoch:
        options += ["--trainer.max_epochs", str(2 * trainer.current_epoch or 1)]
    timers = [one for one in trainer.callbacks if isinstance(one, Timer)]  # type: ignore[attr-defined]
    spent = max((one.time_elapsed() for one in timers if (one.time_remaining() or 1) <= 0), default=None)
    return options if spent is None else [*options, "--trainer.max_time", _clock(2 * spent)]


def _clock(seconds: float) -> str:
    """Return a time as the option max_time has it: days, hours, minutes, seconds."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return ":".join(f"{part:02d}" for part in (*divmod(hours, 24), minutes, rest))


def _why_none(trainer: Trainer) -> str:
    loop = trainer.fit_loop
    if trainer.max_steps == 0 or loop.max_epochs == 0:
        return f"trainer.max_{'steps' if trainer.max_steps == 0 else 'epochs'} is 0"
    if trainer.limit_train_batches == 0:
        return "trainer.limit_train_batches is 0"
    return "training ended before the first"


def _without(words: Sequence[str], *options: str) -> list[str]:
    """Return a command line's words without some options and their values."""
    kept, is_value = [], False
    for word in words:
        if not is_value and word.partition("=")[0] not in options:
            kept.append(word)
        is_value = word in options
    return kept


def _short(path: str | Path) -> Path:
    """Return a path relative to the current folder if it lies in it."""
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
