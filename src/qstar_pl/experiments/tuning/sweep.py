"""The sweep of one cell: which runs it consists of, and which runs its winner is used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import Cell, Settings, Tune
from qstar_pl.experiments.matrix.experiment import TUNED
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.run_folder import TUNING, RunFolder

FACTOR = "factor"
DIGITS = 6
"""Significant ones of a value, so that 3 × 0.0001 is 0.0003."""


@dataclass(frozen=True)
class Sweep:
    """One option of one cell, at several times the cell's own value."""

    tune: Tune
    cell: Cell
    settings: Settings
    """Of the cell."""
    output: Path
    """Folder of the experiment."""
    code: str
    """Version of the package."""

    @property
    def key(self) -> str:
        """The option as the resolved configuration has it, with the `init_args` that a command line leaves out.

        Raises:
            UserError: if it is no number of the cell.

        """
        for key, value in self.settings.options.items():
            if key.replace(".init_args", "") == self.tune.option and isinstance(value, float):
                return key
        raise UserError(
            f"{self.tune.where}: tune.option must be a decimal number of every cell, got {self.tune.option}, "
            f"which is none of {self.cell.name}"
        )

    def value(self, factor: float) -> float:
        """Return the option's value; 1 stands for the cell's own."""
        own = float(self.settings.options[self.key])
        return own if factor == 1 else float(f"{own * factor:.{DIGITS}g}")

    def runs(self, factor: float) -> list[PlannedRun]:
        """Return a run for every seed of the sweep."""
        name = f"{self.cell.name}-x{factor:g}"
        folders = [RunFolder(self.output, name, seed, TUNING) for seed in self.tune.seeds]
        return [self._run(factor, folder, {FACTOR: f"{factor:g}"}) for folder in folders]

    def tuned(self, factor: float, seeds: Iterable[int]) -> list[PlannedRun]:
        """Return the runs with the value that won."""
        folders = [RunFolder(self.output, tuned_name(self.cell.name), seed) for seed in seeds]
        return [self._run(factor, folder, {TUNED: TUNED}) for folder in folders]

    def _run(self, factor: float, folder: RunFolder, level: dict[str, str]) -> PlannedRun:
        value = self.value(factor)
        words = () if factor == 1 else (f"--{self.tune.option}={value}",)
        cell = replace(
            self.cell,
            name=folder.cell,
            factors={**self.cell.factors, **level},
            words=(*self.cell.words, *words),
        )
        # What the words resolve to: they change this option alone.
        settings = replace(self.settings, options={**self.settings.options, self.key: value})
        return PlannedRun(cell, folder.seed, folder, settings, self.code)


def tuned_name(cell: str) -> str:
    """Return what a cell is called with the value that won."""
    return f"{cell}-{TUNED}"
