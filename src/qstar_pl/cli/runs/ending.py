"""How a training run ends, by itself or by a signal: saved, validated, and with a word on how to continue."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from qstar_pl.callbacks.budget import Budget
from qstar_pl.checkpoints.pending_validation import make_up_for_validation
from qstar_pl.checkpoints.pruning import prune
from qstar_pl.cli.runs.interrupt import Quiet, Stopped, StopSignals, name_of
from qstar_pl.cli.runs.loggers import metrics_files
from qstar_pl.cli.runs.onward import longer, onward, short
from qstar_pl.cli.runs.summary import metric_lines
from qstar_pl.run_folders.finished import Finished
from qstar_pl.training.resume import ExactResume

SAVE_AFTER_S = 600.0
"""Longest time between two checkpoints of a run that keeps a `last`, in seconds; steps may take minutes."""
_NO_WRITER = "no checkpoint was saved: trainer.enable_checkpointing is false"


class EndOfRun(Callback):
    """Saves the last step, validates it, and says where it is; after a signal, saves the current step and stops.

    A checkpoint is written after a batch that took an optimizer step, by the run's own ModelCheckpoint, as during
    training. The closing validation comes after it, so a run that continues from there with more steps ends with the
    metrics of one that had them from the start. A signal during a validation leaves it to the run that continues.
    """

    def __init__(
        self,
        words: Sequence[str],
        name: str,
        signals: StopSignals,
        *,
        validate: bool = False,
        save_after_s: float | None = None,
        continued: Path | None = None,
    ) -> None:
        """Describe the run.

        Args:
            words: the user's, after `qstar`.
            name: of the run.
            signals: those that end it.
            validate: whether to validate the last step even if no validation is due.
            save_after_s: save when so many seconds have passed since the last checkpoint; None: not by time.
            continued: the checkpoint of a run that continues in its own folder.

        """
        self.words = tuple(words)
        self.name = name
        self.signals = signals
        self.validate = validate
        self.save_after_s = save_after_s
        self.continued = continued
        self.saved: Path | None = None
        """The newest checkpoint, once the run has ended."""
        self.began = False
        self._step = 0
        self._saved_step = 0
        self._saved_at = 0.0
        self._before_validation: dict[str, Any] | None = None
        """The state of the fit loop after the last step, if a validation of it is due."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals wait for the end of a step; remove what a killed process left half done."""
        self.began = True
        self._step, self._saved_at = trainer.global_step, time.monotonic()
        if self.continued is not None:
            self._saved_step = trainer.global_step
            # Lightning restores neither of these two: without them the step that was restored would be saved again.
            for writer in _writers(trainer):
                writer._last_checkpoint_saved = str(self.continued)
                if not _waits_for_the_epoch(writer):
                    writer._last_global_step_saved = trainer.global_step
            if trainer.is_global_zero:
                prune(_writers(trainer), self.continued, trainer.global_step)
        self.signals.saving = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save if this was the last step, or a signal makes it the last."""
        if trainer.global_step == self._step or not self.began:
            return  # inside an accumulation window, whose gradients no checkpoint holds
        self._step = trainer.global_step
        due = self.save_after_s is not None and time.monotonic() - self._saved_at >= self.save_after_s
        # Clocks and signals differ between processes, but all must save, or stop, at the same step.
        number, due = self.signals.anywhere(due)
        if number or due or _is_done(trainer):
            self._save(trainer, always=bool(number))
        if number:
            self._stop(trainer, number)
        is_due = ExactResume.of(trainer).validation_due_after(trainer) is not None
        self._before_validation = trainer.fit_loop.state_dict() if is_due else None

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Stop after a signal; the checkpoint is as of before the validation, which is made up for later."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or self._step == 0:
            return
        number = self.signals.anywhere()[0]
        if number and self._before_validation is not None:
            self._save(trainer, always=True)
        # In an accumulation window the last step may not be in any checkpoint yet: the window is finished first.
        if number and (self._saved_step == trainer.global_step or not _writers(trainer)):
            self._stop(trainer, number)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if what was measured ends the run: saved later, its epoch would count as finished."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._before_validation = None
        if self._step > 0 and _is_done(trainer):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what is not saved yet, and validate it."""
        self._save(trainer, at_end=True)
        validated = ExactResume.of(trainer).validated_step == trainer.global_step
        if self.validate and trainer.enable_validation and self._step > 0 and not validated:
            make_up_for_validation(trainer, trainer.fit_loop.epoch_loop._batches_that_stepped)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Inside a validation, store the loop as it was before, so that the run continues with that validation."""
        if self._before_validation is not None and not trainer.training:
            checkpoint["loops"] = {**checkpoint["loops"], "fit_loop": self._before_validation}

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let signals end the process at once: there is nothing left to save."""
        self.signals.saving = False

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Do the same as `teardown`, which Lightning does not call then."""
        self.signals.saving = False

    def before(self, trainer: Trainer) -> Finished | None:
        """Return what a run that continues had done, if that is already all that it is asked to do."""
        found = None if self.continued is None else Finished.beside(self.continued)
        return found if found is not None and found.covers(trainer.max_steps, trainer.max_epochs) else None

    def mark(self, trainer: Trainer) -> None:
        """Write down that the run is complete, if it is and has a checkpoint that says so."""
        progress: Any = trainer.fit_loop.epoch_progress.current
        # ":/" tells a remote path, since `Path` folds the "//" of its URL.
        if self.saved is None or not self.began or not trainer.is_global_zero or ":/" in str(self.saved):
            return
        done = Finished(self.saved.name, trainer.global_step, progress.processed)
        spent = any(isinstance(one, Budget) and one.is_spent for one in _callbacks(trainer))
        covered = spent or done.covers(trainer.max_steps, trainer.max_epochs)
        if self._saved_step == trainer.global_step and covered:
            done.write(self.saved.parent)

    def lines(self, trainer: Trainer, before: Finished | None = None) -> list[str]:
        """Return the lines to print about a run that has ended by itself.

        Args:
            trainer: of the run.
            before: what it had done before, if that was everything; None: ask the trainer.

        """
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return []
        taken = trainer.global_step if before is None else before.step
        more = longer(trainer, taken, trainer.current_epoch if before is None else before.epochs)
        go_on = f"  go on:    {self.command(trainer, *more)}"
        if not self.began and taken > 0:
            return [f"the run has taken all of its steps before, {taken}; nothing was done", go_on]
        if self._step == 0:
            return [f"no step was taken: {_why_none(trainer)}", *([go_on] if more else [])]
        if self.saved is None:
            return [_NO_WRITER]
        lines = [*_measured(trainer), f"checkpoint: {self.saved}"]
        for writer in _writers(trainer):
            if writer.monitor and writer.best_model_path and writer.best_model_score is not None:
                score = f"{writer.monitor} = {float(writer.best_model_score):.6g}"
                lines.append(f"best: {short(writer.best_model_path)} ({score})")
        path = shlex.quote(str(self.saved))
        folder = shlex.quote(str(self.saved.parent.parent / "exported"))
        return [
            *lines,
            go_on,
            f"  measure:  qstar test --ckpt_path {path}",
            f"  export:   qstar export --ckpt_path {path} --output {folder}",
            *self._to_draw(trainer),
        ]

    def _to_draw(self, trainer: Trainer) -> list[str]:
        """Return the command that draws the run's main metric, if there is one in its metrics.csv."""
        key = next((key for key in ("reward/mean", "loss/total") if key in trainer.callback_metrics), None)
        logs = metrics_files(trainer.loggers)
        if key is None or not logs:
            return []
        run = logs[0].parent
        words = ["qstar", "curves", str(short(run)), "--key", key, "--output", str(short(run / "curves.png"))]
        return [f"  draw:     {shlex.join(words)}"]

    def command(self, trainer: Trainer, *more: str) -> str:
        """Return the command that continues from the last checkpoint: the user's own words, and more."""
        started = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        return onward(self.words, self.name, self.saved or self.continued or started, *more)

    def _save(self, trainer: Trainer, *, always: bool = False, at_end: bool = False) -> None:
        """Write the newest checkpoint as `last`; without a writer, or under `fast_dev_run`, there is none.

        Args:
            trainer: in a run.
            always: also if no writer keeps a `last`, and with everything that a run needs to continue.
            at_end: also if no writer keeps a `last` and none has written anything.

        """
        # Preferably one that saves whole checkpoints, then one that keeps a `last`.
        writer = next(iter(sorted(_writers(trainer), key=lambda one: (one.save_weights_only, not one.save_last))), None)
        if writer is None or self._step == 0 or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        options = writer.save_last, writer.save_weights_only
        current = trainer.global_step in (writer._last_global_step_saved, self._saved_step)
        current = current and not (always and options[1])  # weights alone are not enough to continue from
        if not current and (always or writer.save_last or (at_end and not writer._last_checkpoint_saved)):
            own = writer._last_global_step_saved
            # True also for "link", which would point to the last file that was saved, of an earlier step.
            writer.save_last, writer.save_weights_only = True, options[1] and not always
            writer._save_last_checkpoint(trainer, writer._monitor_candidates(trainer))
            writer.save_last, writer.save_weights_only = options
            if _waits_for_the_epoch(writer):
                writer._last_global_step_saved = own  # else it would skip its own save of this step
            self._saved_step = trainer.global_step
        elif writer._last_global_step_saved == trainer.global_step:
            self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()
        newest = writer.last_model_path or writer._last_checkpoint_saved
        self.saved = short(newest) if newest else None

    def _stop(self, trainer: Trainer, number: int) -> None:
        if trainer.is_global_zero:
            print(f"stopped by {name_of(number)} after step {trainer.global_step}", flush=True)
            saved = f"checkpoint: {self.saved}\n  go on:    {self.command(trainer)}"
            print(_NO_WRITER if self.saved is None else saved, flush=True)
            raise Stopped(number)
        raise Quiet(128 + number, trainer)


def _measured(trainer: Trainer) -> list[str]:
    """Return the metrics of the validation of the last step, if it was validated in this process."""
    found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    if not found or ExactResume.of(trainer).validated_step != trainer.global_step:
        return []
    return [f"validation after step {trainer.global_step}:", *metric_lines([found]).splitlines()]


def _writers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined, no-any-return] # (Lightning sets it later)


def _waits_for_the_epoch(writer: ModelCheckpoint) -> bool:
    """Return whether it saves after a validation or an epoch, which is later than this callback saves `last`."""
    return writer.monitor is not None or writer._every_n_epochs >= 1


def _is_done(trainer: Trainer) -> bool:
    """Return whether the batch that has just ended is known to be the last one."""
    loop = trainer.fit_loop
    # A request to stop, e.g. by EarlyStopping, has no effect before min_steps and min_epochs.
    if (trainer.should_stop and loop._can_stop_early) or 0 <= trainer.max_steps <= trainer.global_step:
        return True
    # `current_epoch` counts finished epochs, and this one is not finished yet.
    last_epoch = loop.max_epochs is not None and trainer.current_epoch + 1 == loop.max_epochs
    return last_epoch and loop.epoch_loop._num_ready_batches_reached()


def _why_none(trainer: Trainer) -> str:
    loop = trainer.fit_loop
    if trainer.max_steps == 0 or loop.max_epochs == 0:
        return f"trainer.max_{'steps' if trainer.max_steps == 0 else 'epochs'} is 0"
    if trainer.limit_train_batches == 0:
        return "trainer.limit_train_batches is 0"
    return "training ended before the first"
