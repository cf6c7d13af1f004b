"""The tables of an experiment: what was learned, how cells differ, what it cost, how long it took."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from qstar_pl.experiments.report.groups import Group, groups
from qstar_pl.experiments.report.reading import Axis, Results
from qstar_pl.experiments.report.tables.comparison import (
    Comparison,
    comparisons,
    corrected_over,
    smallest_effect,
    tests,
)
from qstar_pl.experiments.report.tables.measures.costs import RunSeconds, Spent, TrainingSeconds
from qstar_pl.experiments.report.tables.measures.efficiency import Efficiency
from qstar_pl.experiments.report.tables.measures.gradients import GradientVariance, NoiseScale, samples_per_micro_step
from qstar_pl.experiments.report.tables.measures.measure import NOTHING, Measure, number
from qstar_pl.experiments.report.tables.measures.prompts import unlike
from qstar_pl.experiments.report.tables.measures.score import Divergence, HeldOut, ScoreAfter, ScoreBefore
from qstar_pl.experiments.report.tables.measures.weights import ESSRatio
from qstar_pl.experiments.report.tables.measures.win_rate import WinRate
from qstar_pl.experiments.report.tables.table import Table

KL = "val/kl_policy_reference"
SOME = 4
"""Runs that are named where there are many."""


def budget_axis(results: Results) -> Axis:
    """Return what the experiment's budget is counted in: "samples", "generated" or "tokens"."""
    unit = results.budget[0] if results.budget else "samples"
    return "tokens" if unit == "tokens" else "generated" if unit == "generated" else "samples"


def measures(results: Results) -> tuple[Measure, ...]:
    """Return the columns of the main table."""
    shown = (results.key_of(KL, results.scored_part), results.score)
    others = (HeldOut(key) for key in results.metrics if key not in shown)
    efficiency = Efficiency(budget_axis(results))
    noise = (ESSRatio(), GradientVariance(), NoiseScale())
    return (ScoreBefore(), ScoreAfter(), WinRate(), efficiency, *noise, Divergence(), *others)


def main_table(results: Results) -> Table:
    """Return all cells with what they have learned and how: mean ± s.d. over seeds."""
    notes = [f"Score: {results.score}, mean ± s.d. over seeds."]
    if results.scored_part is not None:
        notes += [f"{WinRate.heading} and {Divergence.heading} without a part: on those prompts, too."]
    return _table(f"{results.title}: what was learned", results, measures(results), [*notes, *_warnings(results)])


def spent_table(results: Results) -> Table:
    """Return what each cell has spent."""
    return _table("What was spent", results, (Spent("samples"), Spent("generated"), Spent("tokens")), [])


def times_table(results: Results) -> Table:
    """Return how long it took; two runs of the same differ in it."""
    return _table("Time", results, (TrainingSeconds(), Efficiency("seconds"), RunSeconds()), [])


def comparison_table(results: Results, found: Sequence[Comparison] | None = None) -> Table:
    """Return the paired differences of the score.

    Args:
        results: of the experiment.
        found: its comparisons; None to make them.

    """
    found = comparisons(results) if found is None else found
    rows = tuple((one.cell, one.than, *numbers_of(one)) for one in found)
    heads = ("cell", "minus", "difference", "95% over seeds", "95% seeds × prompts", "p", "p (Holm)", "g", "better")
    notes = (
        f"Difference of {results.score} at the end, paired by seed; first interval and p (two-sided): Student's t over "
        "seeds. Second interval: two-level bootstrap for new seeds and new prompts, sized by Student's t. "
        f"{corrected_over(found)} g: paired Hedges' g. Better: seeds with a positive difference.",
        *power_note(found),
    )
    return Table("Differences", heads, rows, 2, notes)


def power_note(found: Sequence[Comparison]) -> tuple[str, ...]:
    """Return a sentence that says what so few seeds can show; none without a comparison."""
    seeds = min((one.seeds for one in found), default=0)
    least, alone = smallest_effect(seeds, tests(found)), smallest_effect(seeds, 1)
    if least is None or alone is None:
        return ("One seed shows nothing of how seeds differ: no test is possible.",) if found else ()
    return (
        f"With {seeds} seeds and {tests(found)} tests a difference of {least:.1f} of its own standard deviations over "
        f"seeds is significant whatever the others are, and one below {alone:.1f} never is.",
    )


def numbers_of(one: Comparison) -> tuple[str, ...]:
    """Return a comparison's difference, both intervals, p, p after Holm's correction, g, and how many seeds gain."""
    intervals = (NOTHING if it is None else f"{it.low:+.3f} to {it.high:+.3f}" for it in (one.interval, one.bootstrap))
    better = f"{int((one.differences > 0).sum())}/{one.seeds}"
    effect = NOTHING if one.effect is None else f"{one.effect:+.1f}"
    return (f"{one.mean:+.3f}", *intervals, p_text(one.p_value), p_text(one.holm), effect, better)


def p_text(p_value: float | None) -> str:
    """Return a p-value with three digits, "<0.001" below."""
    return NOTHING if p_value is None else "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _table(title: str, results: Results, columns: Sequence[Measure], notes: Sequence[str]) -> Table:
    found = groups(results)
    pairs = dict.fromkeys((cell, group.baseline) for group in found for cell in group.cells)
    rows = [(cell, *(one.text(results, cell, baseline) for one in columns)) for cell, baseline in pairs]
    known = [place for place in range(len(columns)) if any(row[place + 1] != NOTHING for row in rows)]
    heads = ("cell", *(columns[place].title for place in known))
    explained = (f"{columns[place].title}: {columns[place].explained}." for place in known)
    kept = tuple((row[0], *(row[place + 1] for place in known)) for row in rows)
    return Table(title, heads, kept, 1, (*notes, *_baselines(found), *dict.fromkeys(explained)))


def _alike(results: Results) -> list[list[str]]:
    """Return the cells whose runs have ended with the same numbers to the last digit."""
    ends: dict[Hashable, list[str]] = {}
    for cell in results.cells:
        runs = tuple((run.seed, tuple(sorted(run.after.items()))) for run in results.finished(cell))
        if runs:
            ends.setdefault(runs, []).append(cell)
    return [cells for cells in ends.values() if len(cells) > 1]


def _baselines(found: Sequence[Group]) -> tuple[str, ...]:
    if len(found) > SOME:
        return (f"Baseline: that of the same {', '.join(found[0].levels)}.",)
    named = (f"{group.baseline}" + (f" ({group.name})" if group.name else "") for group in found)
    return (f"Baseline: {', '.join(named)}.",) if found else ()


def _warnings(results: Results) -> tuple[str, ...]:
    """Return what a reader must know before believing a column."""
    said = []
    for status in ("failed", "unfinished"):
        missing = [f"{run.cell}, seed {run.seed}" for run in results.runs if run.status == status]
        if missing:
            more = f"; and {len(missing) - SOME} more" if len(missing) > SOME else ""
            said.append(f"Left out, since {status}: {'; '.join(missing[:SOME])}{more}.")
    off = [f"{run.cell}, seed {run.seed}: {run.off_budget}" for run in results.runs if run.off_budget]
    if off:
        said.append(f"Off their budget: {'; '.join(off)}.")
    if alike := _alike(results):
        pairs = "; ".join(" and ".join(cells) for cells in alike)
        said.append(f"The same numbers in every seed, as one setting under several names has them: {pairs}.")
    micro = {cell: samples_per_micro_step(results, cell) for cell in results.cells}
    known = {cell: count for cell, count in micro.items() if count is not None}
    if len(set(known.values())) > 1:
        counts = ", ".join(f"{cell} {number(count, 0)}" for cell, count in known.items())
        said.append(f"Gradient variances are not of equally many samples, and not comparable: {counts}.")
    ended = [cell for cell in results.cells if results.finished(cell)]
    without = [cell for cell in ended if not GradientVariance().per_seed(results, cell, "")]
    if 0 < len(without) < len(ended):
        said.append(f"No gradient variance, which needs two micro-steps: {', '.join(without)}.")
    if results.recorded_answers is None:
        said.append("No win rates: the folder holds no answers.parquet.")
    return (*said, *unlike(results))
