"""The report as JSON: every number with its interval, and what it was formed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qstar_pl.evaluating.report.forming import Number, Statistics, corrected, numbers_of
from qstar_pl.evaluating.report.winning import WinRate, win_rate_of
from qstar_pl.evaluation.metrics import Metric
from qstar_pl.evaluation.statistics import Estimate

FORMAT = 1
"""Of results.json; raised when a field changes its meaning."""
WIN_RATE = "the judge's win rate"
"""Among the p-values of metrics, of which one may be called `win_rate`."""


@dataclass(frozen=True)
class Report:
    """All that an evaluation has found out; nothing in it depends on time or on the number of processes."""

    numbers: Sequence[Number]
    win_rate: WinRate | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What was evaluated: data, answers, baseline, what was left out, settings, versions."""

    def as_json(self) -> dict[str, Any]:
        """Return the contents of results.json."""
        metrics = {number.key: _number(number) for number in self.numbers}
        found: dict[str, Any] = {"format": FORMAT, "metrics": metrics}
        if self.win_rate is not None:
            found["win_rate"] = _win_rate(self.win_rate)
        return {**found, **self.about}


def report_of(
    lines: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Metric],
    judge: str,
    how: Statistics,
    about: Mapping[str, Any],
) -> Report:
    """Form all statistics.

    Args:
        lines: of scores.jsonl.
        metrics: by their labels.
        judge: its description; empty if there was none.
        how: intervals are formed.
        about: see `Report`.

    """
    numbers = numbers_of(lines, metrics, how)
    win_rate = win_rate_of(lines, judge, how) if judge else None
    p_values = {number.key: None if number.compared is None else number.compared.p_value for number in numbers}
    if win_rate is not None:
        p_values[WIN_RATE] = win_rate.p_value
    holm = corrected(p_values)
    if win_rate is not None:
        win_rate = replace(win_rate, p_holm=holm.get(WIN_RATE))
    statistics = {"confidence": how.confidence, "resamples": how.resamples, "seed": how.seed}
    numbers = [replace(number, p_holm=holm.get(number.key)) for number in numbers]
    return Report(numbers, win_rate, {**about, "statistics": statistics})


def _number(number: Number) -> dict[str, Any]:
    found: dict[str, Any] = {"metric": number.metric, "answers": _estimate(number.answers)}
    if number.signature is not None:
        found["signature"] = number.signature
    if number.without:
        found["without"] = number.without
    if number.baseline is not None:
        found["baseline"] = _estimate(number.baseline)
    if number.compared is not None:
        found["difference"] = {
            **_estimate(number.compared.difference),
            "p": number.compared.p_value,
            "p_holm": number.p_holm,
        }
    return found


def _estimate(one: Estimate) -> dict[str, Any]:
    found: dict[str, Any] = {"value": one.value, "error": one.error, "rows": one.rows, "prompts": one.groups}
    if one.interval is not None:
        found |= {"low": one.interval.low, "high": one.interval.high, "interval": one.interval.method}
    if one.reason:
        found["no_interval" if one.value is not None else "no_value"] = one.reason
    return found


def _win_rate(one: WinRate) -> dict[str, Any]:
    return {
        "judge": one.judge,
        **_estimate(one.rate),
        "p": one.p_value,
        "p_holm": one.p_holm,
        "wins": one.wins,
        "ties": one.ties,
        "losses": one.losses,
        "without_verdict": dict(one.without),
        "length_controlled": None if one.length_controlled is None else _estimate(one.length_controlled),
        **(one.position.as_json() if one.position is not None else {}),
    }
