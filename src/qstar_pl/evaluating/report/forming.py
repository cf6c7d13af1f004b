"""Every number of every metric, with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qstar_pl.checks import at_least, within
from qstar_pl.evaluating.records import columns_of
from qstar_pl.evaluating.report.all_rows import resampled, uncertain
from qstar_pl.evaluating.report.comparing import Compared, compared
from qstar_pl.evaluating.report.measured import Measured
from qstar_pl.evaluation.metrics import Metric
from qstar_pl.evaluation.statistics import Estimate, holm, mean_interval, statistic_interval

ANSWERS, BASELINE = "answers", "baseline"
"""The two sides."""


@dataclass(frozen=True)
class Statistics:
    """How statistics are formed."""

    confidence: float = 0.95
    """Of all intervals."""
    resamples: int = 1999
    """Of bootstraps and of swaps."""
    seed: int = 0

    def __post_init__(self) -> None:
        within("(0, 1)", confidence=self.confidence)
        at_least(100, resamples=self.resamples)


@dataclass(frozen=True)
class Number:
    """One number that is reported."""

    key: str
    metric: str
    """Label of the metric that it is of."""
    answers: Estimate
    baseline: Estimate | None = None
    compared: Compared | None = None
    p_holm: float | None = None
    """The p-value after Holm's correction over all comparisons of the evaluation."""
    without: int = 0
    """Answers (or prompts) that have nothing which it could measure, such as a reference; they count nowhere."""
    signature: str | None = None
    """Which variant of the metric it is, as papers say it; None: its name says it all."""


def numbers_of(records: Sequence[Mapping[str, Any]], metrics: Mapping[str, Metric], how: Statistics) -> list[Number]:
    """Return the numbers of all metrics, in the order of the metrics.

    Args:
        records: lines of scores.jsonl.
        metrics: by their labels.
        how: to form them.

    """
    found: list[Number] = []
    for label, metric in metrics.items():
        sides = {side: Measured(metric, columns_of(records, side, label)) for side in (ANSWERS, BASELINE)}
        answers, baseline = sides[ANSWERS], sides[BASELINE]
        if not answers.columns:
            continue
        for key in answers.numbers:
            without, signature = answers.without(key), metric.signatures.get(key)
            # Two metrics of one class, or two that report the same thing, keep both their numbers.
            name = f"{label}/{key}" if any(one.key == key for one in found) else key
            number = Number(name, label, estimate(answers, key, how), without=without, signature=signature)
            if baseline.columns and key in baseline.numbers:
                number = replace(number, baseline=estimate(baseline, key, how))
                if metric.compares(key):
                    both = compared(answers, baseline, key, how.confidence, how.resamples, how.seed)
                    number = replace(number, compared=both)
            found.append(number)
    return found


def estimate(measured: Measured, key: str, how: Statistics) -> Estimate:
    """Return a number of one side with its interval."""
    found, bounds = _estimate(measured, key, how), measured.metric.bounds
    if bounds is None or found.interval is None:
        return found
    one = found.interval
    return replace(found, interval=replace(one, low=max(one.low, bounds[0]), high=min(one.high, bounds[1])))


def _estimate(measured: Measured, key: str, how: Statistics) -> Estimate:
    if measured.is_of_means:
        column = measured.columns[key]
        # What has no upper bound is no share, even if it happens to be 0 or 1 everywhere; of others the values decide.
        bounds, shares = measured.metric.bounds, measured.metric.of_shares
        known = bounds if bounds is not None and (shares or not math.isfinite(bounds[1])) else None
        options: dict[str, Any] = {"confidence": how.confidence, "mask": column.mask, "bounds": known}
        return mean_interval(column.values, column.groups_of_rows, **options)
    options = {"confidence": how.confidence, "resamples": how.resamples, "seed": how.seed}
    rows = max(int(column.mask.sum()) for column in measured.columns.values())
    if not measured.metric.all_rows:
        form = measured.statistic(key)
        found = statistic_interval(measured.totals, measured.prompts, form, mask=measured.counted, **options)
    elif measured.metric.counts_different:
        found = uncertain(measured.numbers[key], measured.prompts)
    else:
        found = resampled(lambda chosen: measured.of_prompts(chosen).get(key), measured.prompts, **options)
    return replace(found, rows=rows)


def corrected(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return p-values after Holm's correction over those that there are."""
    return holm({name: value for name, value in p_values.items() if value is not None})
