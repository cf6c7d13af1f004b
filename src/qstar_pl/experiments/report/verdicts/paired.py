"""Evidence of q* against another cell, paired by seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qstar_pl.evaluation.statistics import Interval, two_level_interval
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.comparison import compare
from qstar_pl.experiments.report.tables.measures.efficiency import Efficiency, common_seeds, ratio_text
from qstar_pl.experiments.report.tables.measures.gradients import GradientVariance, NoiseScale, samples_per_micro_step
from qstar_pl.experiments.report.tables.measures.measure import Measure
from qstar_pl.experiments.report.tables.measures.win_rate import WinRate, reward_differences
from qstar_pl.experiments.report.verdicts.evidence import INFINITY, Evidence, absent, of_ratios

HIGHER, LOWER = (0.0, INFINITY), (0.0, 1.0)


def of_score(results: Results, cell: str | None, other: str | None, role: str) -> Evidence:
    """Return the difference in the final score."""
    if cell is None or other is None:
        return absent(f"q* − {role}, {results.score}", HIGHER)
    what = f"{cell} − {other}, {results.score}"
    found = compare(results, cell, other)
    if found is None:
        return Evidence(what, None, None, HIGHER, missing="no seed has ended with both on the same prompts")
    return Evidence(what, found.mean, found.interval, HIGHER, found.seeds, found.p_value)


def of_win_rate(results: Results, cell: str | None, other: str | None, role: str) -> Evidence:
    """Return the share of prompts that are won, with the interval over seeds × prompts."""
    claimed = (0.5, INFINITY)
    if cell is None or other is None:
        return absent(f"win rate of q* over {role}", claimed)
    what = f"win rate of {cell} over {other}"
    rows = reward_differences(results, cell, other, part=results.scored_part)
    if not rows:
        return Evidence(what, None, None, claimed, missing="answers to the same prompts were not recorded")
    wins = np.concatenate([(np.sign(list(row.values())) + 1) / 2 for row in rows.values()])
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(p for row in rows.values() for p in row))}
    prompts = np.concatenate([[numbers[prompt] for prompt in row] for row in rows.values()])
    seeds = np.repeat(list(rows), [len(row) for row in rows.values()])
    rate = float(np.mean(list(WinRate().per_seed(results, cell, other).values())))
    estimate = two_level_interval(wins, prompts, seeds)
    at = estimate.interval
    within = None if at is None else replace(at, low=max(0.0, at.low), high=min(1.0, at.high))
    return Evidence(what, rate, within, claimed, len(rows))


def of_efficiency(results: Results, cell: str | None, other: str | None, role: str, measure: Efficiency) -> Evidence:
    """Return how much less is spent until the other's final score, over mean curves."""
    if cell is None or other is None:
        return absent(f"{measure.title} of q* over {role}", (1.0, INFINITY))
    what = f"{measure.title} of {cell} over {other}"
    value, own = measure.over_seeds(results, cell, other), measure.over_seeds(results, other, other)
    if value is None or own is None:
        return Evidence(what, None, None, (1.0, INFINITY), missing="the curves are not there")
    # A baseline that had its final score long before its end is not beaten by who has it before that end.
    edge = max(1.0, own)
    what += f" ({other}'s own: {ratio_text(own)})" if edge > 1.005 else ""
    interval = measure.interval(results, cell, other)
    seeds = len(common_seeds(results, cell, other))
    return Evidence(what, value, interval, (edge, INFINITY), seeds, said=_said(value, interval))


def _said(value: float, interval: Interval | None) -> str:
    at = "" if interval is None else f" ({ratio_text(interval.low)} to {ratio_text(interval.high)})"
    return f"{ratio_text(value)}{at}"


def of_gradients(results: Results, cell: str | None, other: str | None, role: str) -> tuple[Evidence, ...]:
    """Return the ratio of the gradients' relative variances, which is judged, and that of their variances.

    A variance goes with the square of the loss's scale, which methods choose for themselves: PPO averages over tokens,
    the others sum over those of an answer. Relative to ‖G‖², per sample, is the noise scale; it has no such freedom.
    """
    if cell is None or other is None:
        return (absent(f"gradient variance of q* / {role}", LOWER),)
    name = f"{cell} / {other}"
    relative = of_ratios(f"relative gradient variance of {name}", _ratios(NoiseScale(), results, cell, other), LOWER)
    plain = of_ratios(f"gradient variance of {name}", _ratios(GradientVariance(), results, cell, other), LOWER)
    if plain.value is None:
        lacking = "it was not measured of both (it needs two micro-steps)"
        return (replace(relative, value=None, interval=None, missing=lacking),)
    if relative.seeds < plain.seeds:  # without those runs it would look calmer than it is
        hidden = f"{relative.what} (in {plain.seeds - relative.seeds} of {plain.seeds} seeds noise hides the signal)"
        relative = replace(relative, what=hidden, interval=None, p_value=None, missing="no seed shows a signal")
    sizes = samples_per_micro_step(results, cell), samples_per_micro_step(results, other)
    unequal = None not in sizes and sizes[0] != sizes[1]
    shown = () if unequal else (replace(plain, is_judged=False),)
    return (relative, *shown)


def _ratios(measure: Measure, results: Results, cell: str, other: str) -> dict[int, float]:
    """Return a measure of one cell over that of another, seed by seed."""
    mine, its = measure.per_seed(results, cell, other), measure.per_seed(results, other, other)
    return {seed: value / its[seed] for seed, value in mine.items() if its.get(seed)}
