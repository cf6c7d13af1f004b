"""A callback that keeps what training steps were given and what they reported."""

from typing import Any

from lightning.pytorch.callbacks import Callback


class Recorder(Callback):
    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.reports: list[Any] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch)
        self.reports.append(outputs["report"])
