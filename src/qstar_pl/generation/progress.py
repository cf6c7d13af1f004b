"""Progress of generation: how far, how fast, and how long it will still take."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from qstar_pl.console import SpellingConsole
from qstar_pl.generation.data import GenerationData

EVERY_S = 30.0
"""Seconds between two lines if there is no terminal to draw on."""


class GenerationProgress(Callback):
    """A progress bar on a terminal, else a line every half minute.

    Shown by process 0 for its own answers and tokens; other processes run at about the same speed.
    """

    def __init__(self, show: bool = True, console: SpellingConsole | None = None, every_s: float = EVERY_S) -> None:
        """Describe the display.

        Args:
            show: whether anything is shown; counts are kept in any case.
            console: where to show it; None: standard error.
            every_s: seconds between two lines if the console is not a terminal.

        """
        self.show = show
        self.console = console or SpellingConsole(stderr=True)
        self.every_s = every_s
        self.rows = 0
        """Number of answers of this run and process."""
        self.tokens = 0
        """Number of their tokens."""
        self.seconds = 0.0
        """Time since prediction began."""
        self._started = self._printed = 0.0
        self._total = 0
        self._dealt: int | None = None
        self._bar: Progress | None = None
        self._task: Any = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = self._printed = time.perf_counter()
        data: Any = getattr(trainer, "datamodule", None)
        if isinstance(data, GenerationData):
            self._dealt = len(data.dealt())
        if not self.show or not trainer.is_global_zero or not isinstance(data, GenerationData):
            return
        self._total = sum(len(data.plan.rows_of(batch)) for batch in data.dealt())
        if self.console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False))
            self._bar = Progress(TextColumn("answers"), *columns, *times, console=self.console)
            self._task = self._bar.add_task("", total=self._total, speed="")
            self._bar.start()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch, unless it is one of `GenerationData.fillers`."""
        if self._dealt is not None and batch_idx >= self._dealt:
            return
        self.rows += len(outputs)
        self.tokens += sum(record["diagnostics"]["tokens"] for record in outputs)
        self.seconds = time.perf_counter() - self._started
        if not self._total:
            return
        speed = f"{self.tokens / self.seconds:,.0f} tokens/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=self.rows, speed=speed)
        elif time.perf_counter() - self._printed >= self.every_s:
            self._printed = time.perf_counter()
            left = self.seconds / self.rows * (self._total - self.rows)
            text = f"{self.rows}/{self._total} answers, {speed}, {left:,.0f} s left"
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the bar where it is."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop the bar, which restores the terminal."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
