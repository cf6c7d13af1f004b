"""Options that make a run of the real command as short as it can be."""

import math
import os
from collections.abc import Sequence

import torch
from lightning.pytorch import Callback

from qstar_pl.rewards import GoldReward
from qstar_pl.types import Rollout

SMALL = (
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.num_sanity_val_steps=0",
    "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1",
    "--trainer.limit_predict_batches=1",
    "--trainer.log_every_n_steps=1",
    "--data.max_rows=64",
    "--data.batch_size=2",
    "--data.val_limit=4",
    "--data.test_limit=4",
)


class Signal(Callback):
    """Sends this process a signal at a moment, as a terminal or a scheduler would."""

    def __init__(self, number: int, step: int, moment: str = "step") -> None:
        self.number, self.step, self.moment, self.sent = number, step, moment, False

    def send(self, trainer, moment):
        if moment == self.moment and trainer.global_step == self.step and trainer.is_global_zero and not self.sent:
            self.sent = True
            os.kill(os.getpid(), self.number)

    def setup(self, trainer, pl_module, stage):
        self.send(trainer, "setup")

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.send(trainer, "step")

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        self.send(trainer, "checkpoint")

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self.send(trainer, "sanity check" if trainer.sanity_checking else "validation")


class Enough(Callback):
    """Ends training after the validation that follows a step, as EarlyStopping would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_validation_end(self, trainer, pl_module):
        trainer.should_stop = trainer.should_stop or trainer.global_step == self.step


class PowerCut(Callback):
    """Ends the process's work when a validation begins, as a kill would: the first one, or that after a step."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step

    def on_validation_start(self, trainer, pl_module):
        if not trainer.sanity_checking and self.step in (None, trainer.global_step):
            raise RuntimeError("power cut")


class Unsteady(GoldReward):
    """A reward of a user's own that is no number for the second answer of one step."""

    def __init__(self, value: float = math.nan, step: int = 2) -> None:
        super().__init__()
        self.value, self.step, self.calls = value, step, 0

    def score(self, rollout: Rollout, completions: Sequence[str]) -> torch.Tensor:
        self.calls += 1
        scores = rollout.completion_mask.sum(-1).float()
        if self.calls == self.step:
            scores[1] = self.value
        return scores
