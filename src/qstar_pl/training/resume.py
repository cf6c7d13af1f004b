"""Exact resume: a run that goes on from a checkpoint does what the uninterrupted one would have done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from qstar_pl.checkpoints.optimizer_options import DUE, Fresh
from qstar_pl.checkpoints.optimizer_options import KEY as RATES
from qstar_pl.checkpoints.optimizers import KEY as OPTIMIZERS
from qstar_pl.checkpoints.optimizers import WEIGHTS_ALONE, check_has_state, check_same, names_of
from qstar_pl.checkpoints.pending_validation import KEY as VALIDATION
from qstar_pl.checkpoints.pending_validation import make_up_for_validation, validation_due_after
from qstar_pl.checkpoints.random_states import KEY as RANDOM_STATES
from qstar_pl.checkpoints.random_states import random_states, restore_random_states
from qstar_pl.errors import UserError
from qstar_pl.models.from_checkpoint import ENDS_KEY
from qstar_pl.training.finite_watch import KEY as SKIPPED
from qstar_pl.training.finite_watch import FiniteWatch
from qstar_pl.training.frozen_models import KEY as MODELS
from qstar_pl.training.frozen_models import check_unchanged, fingerprints
from qstar_pl.training.plateau import Plateau

VALIDATED = "qstar_validated_step"
"""Checkpoint key of the step after which the last validation was."""


class ExactResume(Callback):
    """Keeps what a run needs to go on to the bit, and puts it back in the order that Lightning needs.

    - The optimizer's state goes on with the options given now; the schedule is taken to the checkpoint's step.
    - A validation that was due when the checkpoint was written is made up for, before the first batch.
    - The random states of all processes are restored after that, last of all: anything set up until then may draw.
    - The frozen models, which no checkpoint holds, must be those that it was trained beside.

    Every method returns one from `configure_callbacks`; a method with callbacks of its own adds them to that list. All
    keys stand at the top level of the checkpoint (`checkpoints/reading.py` lists them).
    """

    def __init__(self, watch: FiniteWatch, plateau: Plateau) -> None:
        """Make the callback of one method.

        Args:
            watch: the method's, whose count of skipped steps goes on.
            plateau: the method's, whose last measurement a schedule may not have been told.

        """
        self.watch = watch
        self.plateau = plateau
        self.fresh: Fresh | None = None
        """The optimizer and its schedule as this run built them."""
        self.fingerprints: dict[str, str] = {}
        """Of the frozen models, as their sources gave them to this run."""
        self.accept_changed_models = False
        """Whether a run may go on beside other frozen models than it was trained with."""
        self.validated_step: int | None = None
        """Optimizer steps taken at the last validation, also of the run that is continued; None before the first."""
        self._to_load: dict[str, Any] | None = None
        self._random_states: list[dict[str, Any]] | None = None
        self._validation_due_after: int | None = None

    @staticmethod
    def of(trainer: Trainer) -> ExactResume:
        """Return the callback of a trainer that runs a method."""
        found: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        return next(callback for callback in found if isinstance(callback, ExactResume))

    def note_frozen(self, module: LightningModule, frozen: Iterable[str]) -> None:
        """Note which weights the frozen submodules have, before a strategy or a callback changes them."""
        self.fingerprints = fingerprints(module, frozen)

    def describe_weights(self, trainer: Trainer, checkpoint: dict[str, Any], answer_ends: list[int]) -> None:
        """Say in a checkpoint what its weights belong to, even where they are saved alone.

        Lightning asks no callback then, so the method calls this.

        Args:
            trainer: of the run.
            checkpoint: to be written.
            answer_ends: tokens that end the answers of the data.

        """
        checkpoint[ENDS_KEY] = answer_ends
        checkpoint[MODELS] = self.fingerprints
        checkpoint[OPTIMIZERS] = names_of(trainer.optimizers) if "optimizer_states" in checkpoint else []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepare the optimizer's options and the schedule, just before Lightning loads their states.

        Strategies that shard come here before they read the checkpoint; see `on_load_checkpoint`.

        Raises:
            UserError: if the checkpoint holds weights alone (Lightning asks no callback to load one), or its
                optimizer's state does not suit.

        """
        if trainer.strategy.restore_checkpoint_after_setup or trainer.ckpt_path is None:
            return
        if self._to_load is None:
            raise UserError(WEIGHTS_ALONE)
        checkpoint, self._to_load = self._to_load, None
        check_same(checkpoint.get(OPTIMIZERS), trainer.optimizers)
        if self.fresh is not None:
            self.fresh.go_on(checkpoint, loaded=False)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take over what the checkpoint holds; `validate` and `test` read its weights alone."""
        if not trainer.training:
            return
        check_has_state(checkpoint)
        check_unchanged(checkpoint.get(MODELS) or {}, self.fingerprints, self.accept_changed_models)
        if not trainer.strategy.restore_checkpoint_after_setup:
            self._to_load = checkpoint  # the optimizer is built later, in strategy.setup: see `on_fit_start`
        elif self.fresh is not None:  # the optimizer's state came with the weights
            self.fresh.go_on(checkpoint, loaded=True)
        self._random_states = checkpoint.get(RANDOM_STATES)
        self._validation_due_after = checkpoint.get(VALIDATION)
        self.validated_step = checkpoint.get(VALIDATED)
        self.watch.skipped = checkpoint.get(SKIPPED, 0)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store it; Lightning calls this on every process, as the gathering of random states needs."""
        checkpoint[SKIPPED] = self.watch.skipped
        checkpoint[RATES] = None if self.fresh is None else self.fresh.rates
        checkpoint[DUE] = self.plateau.due(trainer)
        checkpoint[RANDOM_STATES] = random_states()
        checkpoint[VALIDATION] = self.validation_due_after(trainer)
        checkpoint[VALIDATED] = self.validated_step

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the step, before any callback saves what was measured."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:  # the sanity check takes no validation's place
            self.validated_step = trainer.global_step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Go on where a checkpoint was written."""
        self.take_up(trainer)

    def take_up(self, trainer: Trainer) -> None:
        """Run the validation that the checkpoint was written just before, then restore its random states."""
        if self._validation_due_after is not None:
            make_up_for_validation(trainer, self._validation_due_after)
            self._validation_due_after = None
            # Lightning steps them after each validation of its own, of which this is none.
            self.plateau.step_schedules(trainer, only_plateaus=True)
        if self._random_states is not None:
            restore_random_states(self._random_states, trainer.global_rank, trainer.world_size)
            self._random_states = None

    def validation_due_after(self, trainer: Trainer) -> int | None:
        """Return after how many batches the trainer is about to validate; None if it is not about to."""
        return validation_due_after(trainer, validated_step=self.validated_step)
