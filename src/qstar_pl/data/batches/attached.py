"""What the data module asks of the trainer that it is attached to, with answers where there is no trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.plugins.precision import Precision

from qstar_pl.data.batches.order import Share


@dataclass(frozen=True)
class Attached:
    """A view of a trainer, or of its absence."""

    trainer: Trainer | None

    @property
    def method(self) -> Any:
        """The LightningModule, None without one."""
        return None if self.trainer is None else self.trainer.lightning_module

    @property
    def share(self) -> Share:
        """This process's part of each batch."""
        # The strategy's own idea of data parallelism: with tensor parallelism, ranks of one group share their data.
        kwargs = None if self.trainer is None else self.trainer.distributed_sampler_kwargs
        return Share(int(kwargs["rank"]), int(kwargs["num_replicas"])) if kwargs else Share()

    @property
    def seal(self) -> bool:
        """Whether batches must be `Sealed`: only precision plugins that look into batches need it."""
        return (
            self.trainer is not None
            # Lightning's base class returns batches as they are.
            and type(self.trainer.precision_plugin).convert_input is not Precision.convert_input
        )

    @property
    def pin_memory(self) -> bool:
        """Whether batches go to a CUDA device."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    @property
    def ahead(self) -> int:
        """How many batches the method wants to see before their turn."""
        return int(getattr(self.method, "batches_ahead", 0))

    @property
    def limit(self) -> int | float:
        """Trainer(limit_train_batches)."""
        return 1.0 if self.trainer is None else self.trainer.limit_train_batches

    @property
    def shuffle(self) -> bool:
        """Whether epochs differ: overfit_batches means the same few batches in every epoch."""
        return not getattr(self.trainer, "overfit_batches", 0)

    @property
    def accumulate(self) -> int:
        """Trainer(accumulate_grad_batches)."""
        return 1 if self.trainer is None else self.trainer.accumulate_grad_batches

    @property
    def training(self) -> bool:
        """Whether the trainer is fitting."""
        return self.trainer is not None and self.trainer.state.fn == "fit"

    def unprocessed(self) -> int:
        """Return how many of the batches handed out (0 or 1) the trainer has not finished."""
        if self.trainer is None:
            return 0
        # Lightning counts a batch as ready when it is on its device, as processed when its step is over.
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return int(progress.ready > progress.processed)
