"""A number held against a threshold, with the interval that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qstar_pl.evaluation.statistics import Interval, mean_interval, paired_t_test

Status = Literal["supported", "not supported", "undecided", "not measured"]
SUPPORTED: Status = "supported"
NOT_SUPPORTED: Status = "not supported"
UNDECIDED: Status = "undecided"
NOT_MEASURED: Status = "not measured"
INFINITY = float("inf")


@dataclass(frozen=True)
class Evidence:
    """One number of a claim: supported if its interval lies wholly where the claim puts it."""

    what: str
    """E.g. "q_star − ppo, val/reward_gold"."""
    value: float | None
    interval: Interval | None
    claimed: tuple[float, float]
    """(low, high) between which the claim says that the number lies; infinite ends are open."""
    seeds: int = 0
    p_value: float | None = None
    """Two-sided, that the number lies on the edge of what is claimed; None where there is no test."""
    missing: str = ""
    """Why there is no value."""
    experiment: str = ""
    is_judged: bool = True
    """Whether the claim rests on it; otherwise it is only shown."""
    said: str = ""
    """Value and interval in words, where they may be no numbers: "never"."""

    @property
    def status(self) -> Status:
        """See the class."""
        if self.value is None:
            return NOT_MEASURED
        if self.interval is None:
            return UNDECIDED
        low, high = self.claimed
        if self.interval.low > low and self.interval.high < high:
            return SUPPORTED
        outside = self.interval.high <= low or self.interval.low >= high
        return NOT_SUPPORTED if outside else UNDECIDED

    @property
    def is_claimed(self) -> bool | None:
        """Whether the number itself lies there, however unsure; None without a number."""
        return None if self.value is None else self.claimed[0] < self.value < self.claimed[1]

    @property
    def p_of_claim(self) -> float | None:
        """Twice the one-sided p-value of the claim, at most 1; None where there is no test.

        It is below 5% exactly where Student's 95% interval lies wholly where the claim puts the number; the two-sided
        one is so as well where the interval lies wholly elsewhere, and would speak for a claim that is wrong.
        """
        return 1.0 if self.p_value is not None and not self.is_claimed else self.p_value


def all_of(parts: tuple[Evidence, ...]) -> Status:
    """Return the status of a claim that holds if all of its parts do.

    Each part at 5% keeps the whole at 5%: a wrong claim has a wrong part, which alone would have to pass (the
    intersection–union test). One part that speaks against it is enough.
    """
    statuses = {one.status for one in parts if one.is_judged}
    if statuses <= {NOT_MEASURED}:
        return NOT_MEASURED
    for one in (NOT_SUPPORTED, NOT_MEASURED, UNDECIDED):
        if one in statuses:
            return one
    return SUPPORTED


def of_differences(
    what: str, differences: Mapping[int, float], claimed: tuple[float, float] = (0.0, INFINITY), *, experiment: str = ""
) -> Evidence:
    """Return the evidence of paired differences, one per seed: their mean with Student's interval."""
    values = np.array([one for one in differences.values() if np.isfinite(one)])
    if not len(values):
        return Evidence(what, None, None, claimed, missing="no seed has it of both", experiment=experiment)
    edge = claimed[0] if np.isfinite(claimed[0]) else claimed[1]
    estimate = mean_interval(values, bounds=(-np.inf, np.inf))
    p_value = paired_t_test(values - edge)
    return Evidence(what, estimate.value, estimate.interval, claimed, len(values), p_value, experiment=experiment)


def of_ratios(
    what: str,
    ratios: Mapping[int, float],
    claimed: tuple[float, float],
    *,
    experiment: str = "",
) -> Evidence:
    """Return the evidence of positive ratios, one per seed: geometric mean, Student's interval of the logarithms."""
    logs = {seed: float(np.log(one)) for seed, one in ratios.items() if np.isfinite(one) and one > 0}
    with np.errstate(divide="ignore"):
        edges = float(np.log(claimed[0])), float(np.log(claimed[1]))
    found = of_differences(what, logs, edges, experiment=experiment)
    if found.value is None:
        return Evidence(what, None, None, claimed, missing=found.missing, experiment=experiment)
    at = found.interval
    back = None if at is None else Interval(_exp(at.low), _exp(at.high), at.confidence, f"{at.method} of logarithms")
    # With two edges there is no single null hypothesis to test.
    two = np.isfinite(edges[0]) and np.isfinite(edges[1])
    p_value = None if two else found.p_value
    return Evidence(what, _exp(found.value), back, claimed, found.seeds, p_value, experiment=experiment)


def absent(what: str, claimed: tuple[float, float]) -> Evidence:
    """Return the part of a claim for which there is no cell."""
    return Evidence(what, None, None, claimed, missing="no such cell")


def _exp(value: float) -> float:
    return float(np.exp(min(value, 700.0)))
