"""How far a stage is, and how long it will still take."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from qstar_pl.console import SpellingConsole
from qstar_pl.generation.progress import EVERY_S


class StageProgress:
    """A bar on a terminal, else a line every half minute; on standard error, and by process 0 alone."""

    def __init__(self, name: str, show: bool, console: SpellingConsole | None = None, every_s: float = EVERY_S) -> None:
        """Describe the display.

        Args:
            name: of the stage.
            show: whether anything is shown.
            console: where; None: standard error.
            every_s: seconds between two lines if the console is not a terminal.

        """
        self.name = name
        self.show = show
        self.console = console or SpellingConsole(stderr=True)
        self.every_s = every_s
        self._total = 0
        self._done = self._started = self._printed = 0.0
        self._bar: Progress | None = None
        self._task: Any = None

    def start(self, total: int) -> None:
        """Begin with so many prompts, of this process."""
        self._total, self._done = total, 0.0
        self._started = self._printed = time.perf_counter()
        if self.show and total and self.console.is_terminal:
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False))
            self._bar = Progress(TextColumn(self.name), BarColumn(), MofNCompleteColumn(), *times, console=self.console)
            self._task = self._bar.add_task("", total=total)
            self._bar.start()

    def advance(self, prompts: float) -> None:
        """Count prompts, or parts of them, that are done."""
        self.reach(self._done + prompts)

    def reach(self, prompts: float) -> None:
        """Say how many prompts are done in all; what was counted before stands if it is more."""
        self._done = max(self._done, prompts)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif self.show and time.perf_counter() - self._printed >= self.every_s:
            self._printed = time.perf_counter()
            left = (self._printed - self._started) / max(1.0, self._done) * (self._total - self._done)
            text = f"{self.name}: {self._done:.0f}/{self._total} prompts, {left:,.0f} s left"
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Leave the bar where it is, which restores the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
