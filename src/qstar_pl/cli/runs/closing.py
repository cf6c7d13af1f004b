"""For a run that was killed between its last step and its end: does what was left to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.fit_loop import _FitLoop

from qstar_pl.training.resume import ExactResume


class ClosingFitLoop(_FitLoop):
    """Ends a run properly that has no step left to take; Lightning's own loop would return at once.

    A run that continues in its own folder begins and ends as any other does, with no step in between: a validation that
    was due is made up for, the epoch ends, the last window of diagnostics is logged, and callbacks are told of the end.
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
        """Skip a run without a step to take, unless it restores a checkpoint."""
        nothing = self.trainer.limit_train_batches == 0 or self.max_batches == 0
        return bool(super().skip and (nothing or not self.restarting))

    def reset(self) -> None:
        """See Lightning's; it counts the epoch as ended if the checkpoint was written after its last batch."""
        # The counters as the checkpoint has them, since `reset` changes them.
        self._stored = deepcopy(self.epoch_progress)
        super().reset()

    def on_run_start(self) -> None:
        """Begin; if the checkpoint was written at the end of an epoch, or of the run, end that first."""
        super().on_run_start()
        if not self.restarting:
            return
        stored: Any = self._stored.current
        # A checkpoint after a batch is written before Lightning counts that batch and, if it is the last, the epoch.
        uncounted, done = stored.processed < stored.started, self.done
        # In every other case a batch of this epoch follows, at whose start `ExactResume` does this itself.
        if done or (uncounted and self.epoch_progress != self._stored):
            self.epoch_loop.val_loop.restarting = False  # the validation starts from its first batch
            with self._as_stored():  # metrics are logged with the number of the epoch
                ExactResume.of(self.trainer).take_up(self.trainer)
        if done and uncounted:
            # The step was taken but its epoch was not ended: count the step as Lightning would have, and end the epoch.
            self.epoch_progress.load_state_dict(self._stored.state_dict())
            self.epoch_loop._batches_that_stepped += 1
            self.on_advance_end()

    @contextmanager
    def _as_stored(self) -> Iterator[None]:
        now = self.epoch_progress.state_dict()
        self.epoch_progress.load_state_dict(self._stored.state_dict())
        yield
        self.epoch_progress.load_state_dict(now)
