"""A claim about the mixture q*, what is true of it, and the numbers that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

ROUNDING = 1e-9
"""What float64 may leave of a number that is 0, and more."""


class Verdict(StrEnum):
    """What is true of a claim."""

    TRUE = "true"
    NEARLY = "true to second order only"
    """For pairs that are close to each other, and the further apart they are the less."""
    CONDITIONAL = "true under a condition"
    FALSE = "false"


@dataclass(frozen=True)
class Finding:
    """One number, and what it must be for the verdict to stand."""

    quantity: str
    value: float
    low: float = float("-inf")
    high: float = float("inf")

    @property
    def holds(self) -> bool:
        """Whether the number is where the verdict says; NaN is nowhere."""
        return self.low <= self.value <= self.high

    @property
    def shown(self) -> str:
        """The number with three digits; an error that is nothing but rounding has none worth showing."""
        return f"< {ROUNDING:g}" if 0 <= self.value < ROUNDING else f"{self.value:.3g}"

    @property
    def expected(self) -> str:
        """The range in words."""
        if self.low == self.high:
            return f"{self.low:g}"
        if self.low == float("-inf"):
            return f"≤ {self.high:g}"
        if self.high == float("inf"):
            return f"≥ {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def zero(quantity: str, error: float, limit: float = ROUNDING) -> Finding:
    """Return the finding that an error, by absolute value, is nothing but rounding in float64."""
    return Finding(quantity, abs(error), high=limit)


@dataclass(frozen=True)
class Claim:
    """A statement, the verdict, why, and the findings."""

    name: str
    """Words joined by hyphens; the heading of its proof in docs/theory.md."""
    statement: str
    """As it is made or silently used, in one sentence."""
    verdict: Verdict
    because: str
    """The proof or the counter-example in one or two sentences."""
    findings: Sequence[Finding]

    @property
    def confirmed(self) -> bool:
        """Whether every number is where the verdict says."""
        return all(finding.holds for finding in self.findings)
