"""The end of a run that was killed between its last step and its end: what was left to do is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.fit_loop import _FitLoop

from qstar_pl.training.resume import ExactResume


class ClosingFitLoop(_FitLoop):
    """Lightning's loop, which returns at once where all steps have been taken, also if their validation has not been.

    Here a run that goes on in its own folder then begins and ends as any other does, with no step in between: the
    validation that was due is made up for, the epoch ends, the last window of diagnostics is logged, and callbacks hear
    of the end.
    """

    @classmethod
    def replace(cls, trainer: Trainer) -> None:
        """Put one into a trainer that has not run yet."""
        there = trainer.fit_loop
        loop = cls(trainer, min_epochs=there.min_epochs, max_epochs=there.max_epochs)
        loop.epoch_loop = there.epoch_loop
        trainer.fit_loop = loop

    @property
    def skip(self) -> bool:
        """Skip a run without a step to take, unless it is one that takes up a checkpoint."""
        nothing = self.trainer.limit_train_batches == 0 or self.max_batches == 0
        return bool(super().skip and (nothing or not self.restarting))

    def reset(self) -> None:
        """See Lightning's; it counts the epoch as ended if the checkpoint was written after its last batch."""
        self._stored = deepcopy(self.epoch_progress)
        super().reset()

    def on_run_start(self) -> None:
        """Begin; if the checkpoint was written at the end of an epoch, or of the run, end that first."""
        super().on_run_start()
        if not self.restarting:
            return
        stored: Any = self._stored.current
        # A checkpoint after a batch is written before Lightning counts the batch and, in the end, the epoch.
        uncounted, done = stored.processed < stored.started, self.done
        if done or (uncounted and self.epoch_progress != self._stored):
            self.epoch_loop.val_loop.restarting = False  # a validation is begun, not gone on with
            with self._as_stored():  # metrics bear the number of the epoch
                ExactResume.of(self.trainer).take_up(self.trainer)
        if done and uncounted:
            self.epoch_progress.load_state_dict(self._stored.state_dict())
            self.epoch_loop._batches_that_stepped += 1
            self.on_advance_end()

    @contextmanager
    def _as_stored(self) -> Iterator[None]:
        now = self.epoch_progress.state_dict()
        self.epoch_progress.load_state_dict(self._stored.state_dict())
        yield
        self.epoch_progress.load_state_dict(now)
