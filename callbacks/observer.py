"""What a diagnostic is made of: sufficient statistics on the device, metrics on the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

from lightning.pytorch import Trainer
from torch import Tensor

from qstar_pl.types import StepReport

from .reductions import SUM, Accumulators, Reduction


class Observer(ABC):
    """Adds up statistics of every micro-step, and forms metrics of the totals once per logging step.

    Its owner decides when either happens; see `Diagnostics`.
    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ()
    """The metrics that `prog_bar` shows."""
    counts_all: ClassVar[bool] = False
    """Whether `observe` also gets reports that are not finite, or whose step was left out: for diagnostics that only
    count, and read no values."""
    prog_bar: bool
    accumulators: Accumulators

    @property
    @abstractmethod
    def state_key(self) -> str:
        """The key of the unfinished window in a checkpoint."""

    @abstractmethod
    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """Add one micro-step's statistics with `add`. Nothing here may wait for the device."""

    @abstractmethod
    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """Form the metrics; a statistic that no rank ever added is missing from `stats`."""

    def before_flush(self, trainer: Trainer) -> None:  # noqa: B027 (most need nothing)
        """Add what is only worth reading once per logging step."""

    @final
    def add(self, name: str, value: Tensor | float, reduction: Reduction = SUM) -> None:
        """Merge a scalar into the statistic `name`."""
        self.accumulators.add(name, value, reduction)
