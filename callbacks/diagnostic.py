"""The base of the diagnostics: sufficient statistics on the device, metrics on the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from qstar_pl.types import RolloutReport, StepReport

from .metrics_bus import bus_of, log_interval, renew_bus
from .reductions import REDUCTIONS, SUM, Accumulators, Reduction

_CHECKPOINT_KEY = "qstar_pl_diagnostics"
_FLUSHED_KEY = "qstar_flushed_step"


class Diagnostic(Callback, ABC):
    """Logs quantities that are reduced over micro-steps, steps since the last log and ranks *before* they are formed.

    A ratio, a standard deviation or an effective sample size of parts is not that of the whole. So a diagnostic adds
    up sufficient statistics on every micro-step, on the device and without waiting for it (`observe`), and forms
    metrics only from the totals (`compute`). All diagnostics of a trainer share one all-gather, one device-to-host
    copy and one logger call per logging step, which is every `Trainer(log_every_n_steps)` optimizer steps. A metric
    without data is absent. Unfinished windows travel with checkpoints.

    Args:
        prog_bar: show the diagnostic's main metric in the progress bar.

    """

    prog_bar_keys: ClassVar[tuple[str, ...]] = ()
    """The metrics that `prog_bar` shows."""
    counts_all: ClassVar[bool] = False
    """Whether `observe` also gets reports that are not finite, or whose step was left out: what counts them needs no
    values of theirs."""

    def __init__(self, prog_bar: bool = True) -> None:
        self.prog_bar = prog_bar
        self.accumulators = Accumulators()

    @abstractmethod
    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """Add one micro-step's statistics with `add`. Nothing here may wait for the device."""

    @abstractmethod
    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """Form the metrics; a statistic that no rank ever added is missing from `stats`."""

    def before_flush(self, trainer: Trainer) -> None:
        """Add what is only worth reading once per logging step."""

    @final
    def add(self, name: str, value: Tensor | float, reduction: Reduction = SUM) -> None:
        """Merge a scalar into the statistic `name`."""
        self.accumulators.add(name, value, reduction)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start without data (before a checkpoint, if any, brings back its own)."""
        if stage == "fit":
            self.accumulators.clear()
            renew_bus(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that training starts at, or that the run to go on with has logged last."""
        bus = bus_of(trainer)
        bus.flushed_step = trainer.global_step if bus.restored_step is None else bus.restored_step

    @final
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Observe the micro-step; the trainer's last diagnostic also flushes all of them when a log is due."""
        report = outputs.get("report") if isinstance(outputs, Mapping) else None
        wanted = self.counts_all or not getattr(pl_module, "spoiled", False)
        if wanted and isinstance(report, StepReport) and log_interval(trainer) > 0:
            self.observe(trainer, report)
        diagnostics = _diagnostics(trainer)
        if self is diagnostics[-1] and bus_of(trainer).is_due(trainer):
            bus_of(trainer).flush(trainer, pl_module, diagnostics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the steps since the last logging step, so that a short run is not a silent one."""
        bus = bus_of(trainer)
        diagnostics = _diagnostics(trainer)
        if self is diagnostics[-1] and log_interval(trainer) > 0 and trainer.global_step != bus.flushed_step:
            bus.flush(trainer, pl_module, diagnostics)
            for logger in trainer.loggers:
                logger.save()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the unfinished window of each rank (Lightning calls this on every rank)."""
        diagnostics = _diagnostics(trainer)
        if self is not diagnostics[-1]:
            return
        windows = bus_of(trainer).of_ranks(trainer, diagnostics)
        checkpoint[_CHECKPOINT_KEY] = {d.state_key: window for d, window in zip(diagnostics, windows, strict=True)}
        checkpoint[_FLUSHED_KEY] = bus_of(trainer).flushed_step

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the unfinished window back: each rank its own, since sums in another order round differently.

        On another number of ranks the first one takes all of it.
        """
        bus_of(trainer).restored_step = checkpoint.get(_FLUSHED_KEY)
        for name, (kind, values) in checkpoint.get(_CHECKPOINT_KEY, {}).get(self.state_key, {}).items():
            reduction = REDUCTIONS[kind]
            if len(values) == trainer.world_size:
                self.add(name, values[trainer.global_rank], reduction)
            elif trainer.is_global_zero:
                self.add(name, reduction.over_ranks(torch.tensor(values, dtype=torch.float64)), reduction)


class RolloutDiagnostic(Diagnostic):
    """A diagnostic of sampled answers; methods that do not sample leave its metrics absent."""

    @final
    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Diagnostic.observe`."""
        if isinstance(report, RolloutReport):
            self.observe_rollout(report)

    @abstractmethod
    def observe_rollout(self, report: RolloutReport) -> None:
        """Add one micro-step's statistics of its answers."""


def _diagnostics(trainer: Trainer) -> list[Diagnostic]:
    return [callback for callback in trainer.callbacks if isinstance(callback, Diagnostic)]  # type: ignore[attr-defined]
