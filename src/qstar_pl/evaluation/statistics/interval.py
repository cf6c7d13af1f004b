"""What a statistic says of itself: a number, how far it may be off, and from how much it was formed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """The values that the data do not speak against."""

    low: float
    high: float
    confidence: float
    """The share of such intervals that cover the truth, e.g. 0.95."""
    method: str
    """How it was formed, in words that can be looked up: "clustered t", "clustered Wilson", "BCa bootstrap", …"""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and its interval; what cannot be told is None, and `reason` says why."""

    value: float | None
    error: float | None
    """Standard error, in the unit of the value."""
    interval: Interval | None
    rows: int
    """Rows that were measured."""
    groups: int
    """Prompts that they are answers to."""
    reason: str = ""
    """Why there is no value, or no interval; empty if there are both."""
