"""What a measure is: a number for each seed of a cell, and how it is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qstar_pl.experiments.report.reading import Results

PerSeed = Mapping[int, float]
"""Seed → number, for the seeds that have one."""
NOTHING = "–"


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n − 1) over seeds."""

    mean: float
    spread: float | None
    """None of a single seed."""
    seeds: int

    def text(self, digits: int = 3) -> str:
        """Return "0.412 ± 0.013", both with as many digits; without a spread where all seeds are the same."""
        if not self.spread:
            return number(self.mean, digits)
        if is_small(self.mean, digits):
            power = int(np.floor(np.log10(abs(self.mean))))
            return f"({self.mean / 10.0**power:.1f} ± {self.spread / 10.0**power:.1f})e{power}"
        digits = shown(self.mean, digits)
        return f"{self.mean:,.{digits}f} ± {self.spread:,.{digits}f}"


def summary(values: PerSeed) -> Summary | None:
    """Return mean and spread of what is finite; None if nothing is."""
    known = np.array([value for value in values.values() if np.isfinite(value)])
    if not len(known):
        return None
    return Summary(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else None, len(known))


def is_small(value: float, digits: int) -> bool:
    """Return whether a number would have a single digit that counts, or none, with so many after the point."""
    return bool(digits) and 0 < abs(value) < 10.0 ** (1 - digits)


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many digits after the point, thousands apart; a small one as "2.3e-4"."""
    if is_small(value, digits):
        power = int(np.floor(np.log10(abs(value))))
        return f"{value / 10.0**power:.1f}e{power}"
    return f"{value:,.{shown(value, digits)}f}"


def shown(value: float, digits: int) -> int:
    """Return how many digits after the point are worth showing: one less for each before it but the first."""
    large = int(np.floor(np.log10(abs(value)))) if np.isfinite(value) and abs(value) >= 10 else 0
    return max(0, digits - large)


@dataclass(frozen=True)
class Measure(ABC):
    """A column of the main table."""

    heading: ClassVar[str]
    unit: ClassVar[str] = ""
    digits: ClassVar[int] = 3
    better: ClassVar[str] = ""
    """"higher" or "lower"; "" where neither is."""
    explained: ClassVar[str]
    """A sentence that says how it is computed."""

    @abstractmethod
    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """Return the number of each seed.

        Args:
            results: of the experiment.
            cell: whose number.
            baseline: the cell that it is held against, if it is held against one.

        """

    def text(self, results: Results, cell: str, baseline: str) -> str:
        """Return it as a table shows it: mean ± s.d. over seeds."""
        found = summary(self.per_seed(results, cell, baseline))
        return NOTHING if found is None else found.text(self.digits)

    @property
    def title(self) -> str:
        """The heading with its unit."""
        return f"{self.heading}, {self.unit}" if self.unit else self.heading


def mean_logged(results: Results, cell: str, seed: int, key: str, *, geometric: bool = False) -> float:
    """Return the mean of a training metric over a run's log windows; NaN if it was not logged."""
    values = results.series(cell, seed, key, "step").y
    values = values[np.isfinite(values) & ((values > 0) | (not geometric))]
    if not len(values):
        return float("nan")
    return float(np.exp(np.log(values).mean()) if geometric else values.mean())
