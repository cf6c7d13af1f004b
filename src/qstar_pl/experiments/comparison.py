"""What an experiment found: held-out metrics before and after training, and what that cost."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from qstar_pl.experiments.seeds import SeedResult

Results = Mapping[str, Sequence[SeedResult]]
"""By the name of the configuration: the results of its seeds."""
REWARDS = {"val/reward_gold": "gold", "val/reward_proxy": "proxy"}
"""Shown of every method: the proxy reward can rise while the gold reward falls."""
ACCURACY = "val/preference_accuracy"
NAMES = {**REWARDS, ACCURACY: "accuracy"}
COSTS = {"samples": "samples/total", "tokens": "tokens/total", "time, s": "time/wall_s"}
KL = "val/kl_policy_reference"


@dataclass(frozen=True)
class Change:
    """How a metric changed over training, in each seed."""

    experiment: str
    key: str
    before: list[float]
    after: list[float]

    @property
    def name(self) -> str:
        """The metric in short."""
        return NAMES.get(self.key, self.key.removeprefix("val/"))

    @property
    def gains(self) -> list[float]:
        """The differences."""
        return [late - early for early, late in zip(self.before, self.after, strict=True)]

    def cells(self) -> list[str]:
        """Return metric, before, after, gain (mean ± s.d.) and the share of seeds that rose."""
        rose = f"{sum(gain > 0 for gain in self.gains)}/{len(self.gains)}"
        means = [f"{mean(values):.3f}" for values in (self.before, self.after)]
        return [self.name, *means, spread(self.gains, signed=True), rose]


def judged_by(seeds: Sequence[SeedResult]) -> list[str]:
    """Return the held-out metrics to show of a configuration, of those that all its seeds report.

    Gold and proxy reward of every policy; preference accuracy as well where comparisons are learned from, or where
    there is no reward; all that there is where there is none of these.
    """
    known = [key for key in seeds[0].after if all(key in one.before and key in one.after for one in seeds)]
    keys = [key for key in REWARDS if key in known]
    compares = any("loss/accuracy" in one.series for one in seeds)
    if ACCURACY in known and (compares or not keys):
        keys.append(ACCURACY)
    return keys or sorted(known)


def changes(results: Results) -> list[Change]:
    """Return the changes of all configurations, in order."""
    return [
        Change(name, key, [one.before[key] for one in seeds], [one.after[key] for one in seeds])
        for name, seeds in results.items()
        if seeds
        for key in judged_by(seeds)
    ]


def costs(seeds: Sequence[SeedResult]) -> list[str]:
    """Return divergence from the start in nats per answer, then samples, tokens and seconds; "" for what is unknown."""
    divergence = [seed.after[KL] for seed in seeds if KL in seed.after]
    totals = [_totals(seeds, key) for key in COSTS.values()]
    return [spread(divergence, 2) if divergence else "", *(spread(one, 0) if one else "" for one in totals)]


def spread(values: Sequence[float], digits: int = 3, *, signed: bool = False) -> str:
    """Return "mean ± s.d." over seeds (n−1; no ± for one seed)."""
    text = f"{mean(values):{'+' if signed else ''}.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text


def as_markdown(results: Results) -> str:
    """Return a table with a line per configuration and metric."""
    head = ["experiment", "metric", "before", "after", "gain", "rose", "KL(θ‖init), nats", *COSTS]
    rows = [[one.experiment, *one.cells(), *costs(results[one.experiment])] for one in changes(results)]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def as_csv(results: Results) -> str:
    """Return a table with a line per configuration, seed and metric, in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["experiment", "seed", "metric", "before", "after", KL, *COSTS.values(), "seconds"])
    for name, seeds in results.items():
        for one in seeds:
            shared = [
                one.after.get(KL),
                *(next(iter(_totals([one], key)), None) for key in COSTS.values()),
                one.seconds,
            ]
            for key in judged_by(seeds):
                writer.writerow([name, one.seed, key, one.before[key], one.after[key], *shared])
    return text.getvalue()


def _totals(seeds: Sequence[SeedResult], key: str) -> list[float]:
    """Return the last values of a running total."""
    return [seed.series[key][-1][1] for seed in seeds if seed.series.get(key)]
