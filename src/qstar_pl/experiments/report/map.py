"""When does which distribution win: the best method under every condition, at parts of the budget.

The budget costs no runs: a method's score after a part of it is read off its learning curve, on straight lines between
validations. Methods are held against each other seed by seed, on the same held-out prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qstar_pl.evaluation.statistics import Interval, holm, mean_interval, paired_t_test
from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.groups import METHOD, Group, groups
from qstar_pl.experiments.report.reading import Floats, Results
from qstar_pl.experiments.report.tables.main import budget_axis

SHARES = (0.25, 0.5, 1.0)
"""Parts of the budget at which the map is drawn."""


@dataclass(frozen=True)
class Margin:
    """By how much the best method beats another, over seeds."""

    than: str
    """The other method."""
    mean: float
    interval: Interval | None
    """Student's over seeds; None with one seed."""
    p_value: float | None
    """Of the paired t-test over seeds."""
    holm: float | None = None
    """After Holm's correction over both margins of all places at this part of the budget."""


@dataclass(frozen=True)
class Place:
    """One condition at one part of the budget."""

    levels: Mapping[str, str]
    """Axis → level."""
    share: float
    """Of the budget, in (0, 1]."""
    spent: float
    """The same in the budget's unit."""
    seeds: tuple[int, ...]
    """That all methods have finished with."""
    scores: Mapping[str, float]
    """Method → mean score over these seeds."""
    best: str
    """The method of the highest mean."""
    over_second: Margin
    over_on_policy: Margin | None
    """None where it is the best, or not there."""

    @property
    def is_decided(self) -> bool:
        """Whether the interval of the margin over the second method holds only numbers above 0.

        It is that of this place alone, and the two methods were chosen by the same numbers: the margin is never
        negative, so it is too large rather than too small where methods are alike. `Margin.holm` is stricter.
        """
        at = self.over_second.interval
        return at is not None and at.low > 0


def is_map(results: Results) -> bool:
    """Return whether an experiment crosses several methods with at least two axes."""
    factors = [results.factors(cell) for cell in results.cells]
    methods = {levels.get(METHOD) for levels in factors}
    axes = {name for levels in factors for name in levels if name != METHOD}
    return len(methods) > 1 and len(axes) > 1 and results.budget is not None


def places(results: Results, shares: Sequence[float] = SHARES) -> tuple[Place, ...]:
    """Return the map: all conditions of a part of the budget, then those of the next; none if it is no map.

    Args:
        results: of the experiment. A condition of which fewer than two methods have a seed in common is left out.
        shares: parts of the budget.

    """
    if not is_map(results):
        return ()
    found = []
    for share in shares:
        there = (_place(results, group, share) for group in groups(results))
        found += _with_holm([one for one in there if one is not None])
    return tuple(found)


def _place(results: Results, group: Group, share: float) -> Place | None:
    assert results.budget is not None
    spent = share * results.budget[1]
    curves = {cell: scores for cell in group.cells if (scores := _scores(results, cell, spent))}
    seeds = tuple(sorted(set.intersection(*(set(one) for one in curves.values())))) if curves else ()
    if len(curves) < 2 or not seeds:
        return None
    held_out = {run.held_out for cell in curves for run in results.finished(cell) if run.seed in seeds}
    if len(held_out) > 1:
        return None
    by_cell = {cell: np.array([one[seed] for seed in seeds]) for cell, one in curves.items()}
    best, second, *_ = sorted(by_cell, key=lambda cell: -float(by_cell[cell].mean()))
    plain = roles.on_policy(results, list(by_cell))

    def margin(other: str) -> Margin:
        return _margin(_method(results, other), by_cell[best] - by_cell[other])

    return Place(
        group.levels,
        share,
        spent,
        seeds,
        {_method(results, cell): float(scores.mean()) for cell, scores in by_cell.items()},
        _method(results, best),
        margin(second),
        None if plain is None or plain == best else margin(plain),
    )


def _scores(results: Results, cell: str, spent: float) -> dict[int, float]:
    """Return the score of each finished seed after what was spent; a run that did not get so far has none."""
    found = {}
    for run in results.finished(cell):
        points = results.series(cell, run.seed, results.score, budget_axis(results))
        known = np.isfinite(points.y)
        if known.any() and points.x[known][0] <= spent <= points.x[known][-1]:
            found[run.seed] = float(np.interp(spent, points.x[known], points.y[known]))
    return found


def _method(results: Results, cell: str) -> str:
    return results.factors(cell).get(METHOD, cell)


def _margin(than: str, differences: Floats) -> Margin:
    interval = mean_interval(differences, bounds=(-np.inf, np.inf)).interval
    return Margin(than, float(differences.mean()), interval, paired_t_test(differences))


def _with_holm(found: Sequence[Place]) -> list[Place]:
    margins = {
        (number, name): margin.p_value
        for number, place in enumerate(found)
        for name, margin in (("over_second", place.over_second), ("over_on_policy", place.over_on_policy))
        # Where on-policy is the second, it is one test.
        if margin is not None and not (name == "over_on_policy" and margin.than == place.over_second.than)
    }
    corrected = holm({key: p_value for key, p_value in margins.items() if p_value is not None})
    made = []
    for number, place in enumerate(found):
        second = replace(place.over_second, holm=corrected.get((number, "over_second")))
        plain = place.over_on_policy
        if plain is not None:
            plain = (
                second if plain.than == second.than else replace(plain, holm=corrected.get((number, "over_on_policy")))
            )
        made.append(replace(place, over_second=second, over_on_policy=plain))
    return made
