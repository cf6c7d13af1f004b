"""The base of the diagnostics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer

from qstar_pl.types import RolloutReport, StepReport

from .diagnostics import Diagnostics
from .observer import Observer
from .reductions import Accumulators


# Callback comes first: its `state_key` is the one that Observer leaves abstract.
class Diagnostic(Callback, Observer, ABC):
    """Logs quantities that are reduced over micro-steps, steps since the last log and ranks *before* they are formed.

    A ratio, a standard deviation or an effective sample size of parts is not that of the whole. So a diagnostic adds
    up sufficient statistics on every micro-step, on the device and without waiting for it (`observe`), and forms
    metrics only from the totals (`compute`). All diagnostics of a trainer share one all-gather, one device-to-host
    copy and one logger call per logging step, which is every `Trainer(log_every_n_steps)` optimizer steps. A metric
    without data is absent. Unfinished windows are saved in checkpoints.

    It is a callback, so that it can be in a trainer's list and use Lightning's hooks (an overridden `setup` calls
    super's); what all diagnostics share is done by their owner, `Diagnostics`.

    Args:
        prog_bar: show the diagnostic's main metric in the progress bar.

    """

    def __init__(self, prog_bar: bool = True) -> None:
        self.prog_bar = prog_bar
        self.accumulators = Accumulators()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start without data; a checkpoint is loaded after this."""
        if stage == "fit":
            self.accumulators.clear()
            Diagnostics.own(trainer)


class RolloutDiagnostic(Diagnostic):
    """A diagnostic of sampled answers; methods that do not sample leave its metrics absent."""

    @final
    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`."""
        if isinstance(report, RolloutReport):
            self.observe_rollout(report)

    @abstractmethod
    def observe_rollout(self, report: RolloutReport) -> None:
        """Add one micro-step's statistics of its answers."""
