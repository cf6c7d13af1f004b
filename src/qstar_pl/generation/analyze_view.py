"""Which values of the analysis an axis shows, and how many it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qstar_pl.generation.analyze_reading import Column

Mask = NDArray[np.bool_]
CENTRAL = (0.005, 0.995)
"""Quantiles of what an axis must show; beyond them it goes on by their distance, if there are values."""

MARGIN = 0.02
"""Part of the axis that is free beyond the last value."""


@dataclass(frozen=True)
class View:
    """A stretch of a linear or logarithmic axis."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, columns: Sequence[Column], *, shown: tuple[float, float], log: bool = False) -> View:
        """Return a stretch that has all values but outliers, which would press the others together.

        Args:
            columns: values of each run, those that are not finite (or on a log axis not positive) left aside.
            shown: ends of what is to be seen in any case, such as a band.
            log: whether the axis is logarithmic.

        """
        values = np.concatenate([column[drawable(column, log=log)] for column in columns])
        low, high = shown
        if len(values):
            scaled = np.log(values) if log else values
            first, last = np.quantile(scaled, CENTRAL)
            # What is rare and lies further away than all else is wide would leave the rest a few bins.
            reach = last - first
            ends = max(scaled.min(), first - reach), min(scaled.max(), last + reach)
            seen = np.log(shown) if log else shown
            margin = MARGIN * float(max(ends[1], seen[1]) - min(ends[0], seen[0]))  # of the axis: no point on its frame
            ends = ends[0] - margin, ends[1] + margin
            low, high = min(low, np.exp(ends[0]) if log else ends[0]), max(high, np.exp(ends[1]) if log else ends[1])
        return cls(float(low), float(high), log)

    def bins(self, count: int) -> Column:
        """Return edges of bins that look equally wide, [count + 1]."""
        spaced = np.geomspace if self.log else np.linspace
        return np.asarray(spaced(self.low, self.high, count + 1), dtype=np.float64)

    def holds(self, values: Column) -> Mask:
        """Return which values are seen, [rows] bool."""
        return np.asarray((values >= self.low) & (values <= self.high))

    def missed(self, values: Column) -> str:
        """Return in words how many values are not seen, "" if all are."""
        return ", ".join(self._missed(values))

    def _missed(self, values: Column) -> Iterator[str]:
        with np.errstate(invalid="ignore"):
            kinds = {
                "undefined": np.isnan(values),
                "infinite": np.isinf(values),
                "at 0 or below": self.log & (values <= 0) & np.isfinite(values),
                "further left or below": (values < self.low) & drawable(values, log=self.log),
                "further right or above": (values > self.high) & np.isfinite(values),
            }
        for kind, mask in kinds.items():
            if count := int(mask.sum()):
                yield f"{count:,} {kind}"


def drawable(values: Column, *, log: bool) -> Mask:
    """Return which values have a place on an axis, [rows] bool."""
    return np.asarray(np.isfinite(values) & (values > 0) if log else np.isfinite(values))


def share(mask: Mask) -> str:
    """Return how much of a mask is true: "0%" and "100%" mean none and all."""
    if len(mask) == 0:
        return "none"
    part = float(mask.mean())
    if 0 < part < 1:
        return f"{min(max(part, 0.001), 0.999):.1%}"
    return f"{part:.0%}"
