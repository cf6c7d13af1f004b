"""What an experiment is: cells, seeds, and a budget that is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Unit = Literal["samples", "generated", "tokens"]
UNITS: tuple[Unit, ...] = get_args(Unit)
KEY = "/total"
"""`samples/total` is logged by every run; see `ThroughputDiagnostic`."""
WHAT = {
    "samples": "samples (answers drawn, pairs or demonstrations)",
    "generated": "generated tokens",
    "tokens": "trained tokens",
}
"""Unit → what is counted."""


@dataclass(frozen=True)
class Budget:
    """How much every run may spend."""

    unit: Unit
    amount: int

    @property
    def key(self) -> str:
        """The metric that counts it."""
        return f"{self.unit}{KEY}"

    def __str__(self) -> str:
        return f"{self.amount:,} {WHAT[self.unit].partition(' (')[0]}"


@dataclass(frozen=True)
class Cell:
    """A method with one level of every axis; its runs differ in their seeds alone."""

    name: str
    factors: Mapping[str, str]
    """"method" and every axis that makes a difference to it → the level."""
    words: tuple[str, ...]
    """After `qstar fit`, without the seed and the place."""
    where: str = ""
    """File and line in which it is described, for messages."""
    lines: Mapping[str, str] | None = None
    """Option → file and line."""
    after: str | None = None
    """The cell from whose checkpoint, of the same seed, it starts; None: from its own model."""
    is_stage: bool = False
    """Whether others start from it: it spends a part of their budget, and is compared with nothing."""


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on the same held-out prompts for all cells."""

    score: str = "val/reward_gold"
    """The metric that the cells are ranked by; higher is better."""
    metrics: tuple[str, ...] = ()
    """Others that the report shows."""


@dataclass(frozen=True)
class Report:
    """What the report compares."""

    baseline: str | None = None
    """The cell that the others are held against; None: the first."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Further pairs of cells."""


SHARED, TUNED = "shared", "tuned"
"""Levels of the factor "tuned"."""


@dataclass(frozen=True)
class Tune:
    """A sweep of the same size for every cell, on seeds of its own, whose best value a second set of cells uses."""

    option: str
    """Of `qstar fit`, a number."""
    factors: tuple[float, ...]
    """Times each cell's own value, which 1 stands for."""
    seeds: tuple[int, ...]
    where: str = ""
    """File and line, for messages."""

    @property
    def runs(self) -> int:
        """How many there are for each cell."""
        return len(self.factors) * len(self.seeds)

    def said(self, cells: int) -> str:
        """Return what it comes to for so many cells."""
        factors = ", ".join(f"{factor:g}" for factor in self.factors)
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return (
            f"tuning: {self.option} × {factors} of every cell with {seeds} = {cells * self.runs} runs, "
            "then every cell again with its best"
        )


@dataclass(frozen=True)
class Experiment:
    """One variant of an experiment, read."""

    name: str
    variant: str
    file: Path
    title: str
    question: str
    description: str
    cells: Sequence[Cell]
    seeds: tuple[int, ...]
    budget: Budget | None
    """None for configurations that were given by hand."""
    evaluation: Evaluation
    report: Report
    minutes: float | None = None
    """What a run is expected to take."""
    threads: int | None = None
    """Most threads of a run; None: as many as there are cores for it."""
    slurm: tuple[str, ...] = ()
    """Options of sbatch for a run."""
    tune: Tune | None = None
    """What is tuned for each cell; None: nothing."""

    @property
    def runs(self) -> int:
        """How many there are; with tuning, how many there can be."""
        again = 0 if self.tune is None else self.tune.runs + len(self.seeds)
        return len(self.cells) * (len(self.seeds) + again)

    @property
    def baseline(self) -> str:
        """The cell that the others are held against."""
        return self.report.baseline or next(cell.name for cell in self.cells if not cell.is_stage)
