"""How far a run is, how long it will take and its main metrics: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.text import Text

from qstar_pl.console import SpellingConsole

from .planned import planned_steps

EVERY_S = 30.0
"""Seconds between two lines where there is no terminal."""


class StepProgressBar(RichProgressBar):
    """Counts optimizer steps of a run that a number of steps ends, else the batches of each epoch.

    Metrics are those that diagnostics put into the progress bar, by short names, with three significant digits. Where
    standard output is no terminal, a line is printed after the first step, then every half minute, and at the end:
    when the next batch starts, or nothing follows, since callbacks log a step's metrics after this one has counted it.

    Args:
        every_s: seconds between two lines where there is no terminal.

    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        super().__init__(refresh_rate=10, theme=RichProgressBarTheme(metrics="", metrics_format=".3g"))
        self.every_s = every_s
        self._first_step = 0
        self._started: float | None = None
        """When training began, on the monotonic clock; None: it has not, as where no step is left to take."""
        self._printed = -math.inf

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Draw in a terminal only."""
        super().setup(trainer, pl_module, stage)
        self._started = None
        if not SpellingConsole().is_terminal:
            self.disable()

    @property
    def total_train_batches(self) -> int | float:
        """Optimizer steps of the run, or batches of an epoch."""
        if self._counts_steps:
            return planned_steps(self.trainer, self.trainer.lightning_module)
        return super().total_train_batches

    @property
    def _counts_steps(self) -> bool:
        """Return whether steps end the run; under fast_dev_run, one batch does."""
        return self.trainer.max_steps > 0 and self.trainer.max_epochs in (None, -1)

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """Return narrow columns: with two metrics they fit 80 characters."""
        return [TextColumn("{task.description}"), BarColumn(bar_width=10), _Count(), _Left()]

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return the metrics by short names; the version of the run is not one."""
        return _short(super().get_metrics(trainer, pl_module))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._first_step, self._started, self._printed = trainer.global_step, time.monotonic(), -math.inf

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar; one that counts steps goes on from epoch to epoch."""
        if self._counts_steps and self.is_enabled and self.train_progress_bar_id is not None:
            return
        super().on_train_epoch_start(trainer, pl_module)
        if self._counts_steps and self.progress is not None and self.train_progress_bar_id is not None:
            # Steps of before a run was continued do not count as taken in no time.
            self.progress.reset(self.train_progress_bar_id, completed=trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Print the line of the steps before, where lines are printed and it is time for one."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        if trainer.global_step > self._first_step and time.monotonic() - self._printed >= self.every_s:
            self._print_line(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch, or the steps so far."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.is_enabled and self._counts_steps:
            self._update(self.train_progress_bar_id, trainer.global_step)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last line, where lines are printed; later than diagnostics log what is left at the end."""
        self._print_line(trainer, pl_module)

    def _get_train_description(self, current_epoch: int) -> str:
        if self._counts_steps:
            return "step"
        last = self.trainer.max_epochs
        return f"epoch {current_epoch + 1}" + (f"/{last}" if last is not None and last > 0 else "")

    def _print_line(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.is_enabled or not trainer.is_global_zero or self._started is None:
            return
        self._printed = time.monotonic()
        step, total = trainer.global_step, planned_steps(trainer, pl_module)
        taken, seconds = step - self._first_step, time.monotonic() - self._started
        parts = [f"step {step}" + (f"/{int(total)}" if math.isfinite(total) else "")]
        if taken and math.isfinite(total) and total > step:
            parts.append(f"{_clock(seconds / taken * (total - step))} left")
        else:
            parts.append(f"{_clock(seconds)} taken")
        metrics = self.get_metrics(trainer, pl_module)
        print(", ".join([*parts, *(f"{name} {value:.3g}" for name, value in metrics.items())]), flush=True)


class _Count(ProgressColumn):
    """done/total, without a total where there is none."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None or not math.isfinite(task.total) else f"/{int(task.total)}"
        return Text(f"{int(task.completed)}{total}")


class _Left(ProgressColumn):
    """The time that is left, or, at the end, that was taken."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.finished or task.time_remaining is None:
            return Text(_clock(task.finished_time or task.elapsed or 0.0), style="dim")
        return Text(f"{_clock(task.time_remaining)} left", style="dim")


def _clock(seconds: float) -> str:
    """Return minutes:seconds, with hours and days where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else str(timedelta(seconds=round(seconds)))


def _short(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics without the logger's version: `alpha/mean` as alpha, `loss/total` as loss."""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float) and name != "v_num"}
    return {name.removesuffix("/mean").removesuffix("/total"): value for name, value in numbers.items()}
