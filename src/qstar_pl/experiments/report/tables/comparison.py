"""Whether two cells differ in the held-out score at the end, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qstar_pl.evaluation.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_hedges_g,
    paired_t_test,
    two_level_bootstrap,
)
from qstar_pl.experiments.report.groups import group_of, pairs
from qstar_pl.experiments.report.reading import Floats, Results
from qstar_pl.experiments.report.tables.measures.efficiency import common_seeds
from qstar_pl.experiments.report.tables.measures.win_rate import GOLD, PROXY, reward_differences

KINDS = {f"val/{GOLD}": GOLD, f"val/{PROXY}": PROXY}
"""Score → the reward of single answers that it is the mean of."""


@dataclass(frozen=True)
class Comparison:
    """The score of a cell minus that of another, over the seeds that both have ended with."""

    cell: str
    than: str
    score: str
    """Its key."""
    group: str
    """Of the cell, in words; ""."""
    scores: Floats
    """[seeds, 2]: of the cell, and of the other."""
    interval: Interval | None
    """Student's over seeds: for new seeds on these held-out prompts. None with one seed."""
    bootstrap: Interval | None
    """For new seeds and new prompts; None where answers were not recorded."""
    p_value: float | None
    """Of the paired t-test over seeds."""
    effect: float | None
    """Hedges' g of the paired differences."""
    holm: float | None = None
    """The p-value after Holm's correction over all comparisons that are shown together."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.differences.mean())

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.scores)

    @property
    def test(self) -> tuple[str, bytes]:
        """What two comparisons share if they are one test: those of a cell whose own settings won, shared and tuned."""
        return self.score, self.scores.tobytes()

    @property
    def differences(self) -> Floats:
        """[seeds]"""
        return self.scores[:, 0] - self.scores[:, 1]

    @property
    def is_significant(self) -> bool:
        """Whether 5% chance, over all that is shown, does not explain it."""
        return self.holm is not None and self.holm < 0.05


def compare(results: Results, cell: str, than: str, score: str | None = None) -> Comparison | None:
    """Return how one cell differs from another; None without a seed that both have, or where prompts differ.

    Args:
        results: of the experiment.
        cell: whose score it is.
        than: whose score is taken off.
        score: that of one part of the held-out data; None: the experiment's.

    """
    score = results.score if score is None else score
    found = [
        (mine.after[score], its.after[score])
        for seed in common_seeds(results, cell, than)
        if (mine := results.run(cell, seed)) is not None
        and (its := results.run(than, seed)) is not None
        and mine.held_out == its.held_out
        and score in mine.after
        and score in its.after
    ]
    scores = np.array([both for both in found if np.isfinite(both).all()])  # a run that diverged has no difference
    if not len(scores):
        return None
    differences = scores[:, 0] - scores[:, 1]
    return Comparison(
        cell,
        than,
        score,
        group_of(results, cell).name,
        scores,
        mean_interval(differences, bounds=(-np.inf, np.inf)).interval,
        _over_answers(results, cell, than, score),
        paired_t_test(differences),
        paired_hedges_g(differences),
    )


def comparisons(results: Results) -> tuple[Comparison, ...]:
    """Return how each cell differs from its group's baseline, and the pairs that the experiment names.

    Holm's correction is over all of these: a pair that is asked for twice, in whichever order, is tested once, and so
    is one whose runs are those of another pair.
    """
    made = (compare(results, *pair) for pair in pairs(results))
    return with_holm([comparison for comparison in made if comparison is not None])


def with_holm(found: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return comparisons that are shown together, corrected for the number of their tests."""
    corrected = holm({one.test: one.p_value for one in found if one.p_value is not None})
    return tuple(replace(one, holm=corrected.get(one.test)) for one in found)


def tests(found: Sequence[Comparison]) -> int:
    """Return how many tests comparisons are."""
    return len({one.test for one in found})


def corrected_over(found: Sequence[Comparison]) -> str:
    """Return what Holm's correction was over, as a sentence for below a table."""
    several = f"{tests(found)} tests: differences between the same runs are one test"
    return f"Holm's correction over these {len(found) if tests(found) == len(found) else several}."


def smallest_effect(seeds: int, tests: int) -> float | None:
    """Return the mean paired difference, in standard deviations over seeds, from which Holm's first test is below 5%.

    What so few seeds can show: a paired difference t·√n with Student's quantile of n − 1 degrees of freedom at
    5%/tests. Of a single test it is what every difference needs; between the two, Holm's later steps may suffice.
    None with one seed.
    """
    if seeds < 2 or tests < 1:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(seeds - 1, 1 - 0.025 / tests)) / float(np.sqrt(seeds))


def _over_answers(results: Results, cell: str, than: str, score: str) -> Interval | None:
    part = results.part_of(score)
    kind = KINDS.get(score.removesuffix(f"/{part}"))
    if kind is None:
        return None
    rows = list(reward_differences(results, cell, than, kind, part).values())
    if len(rows) < 2 or any(row.keys() != rows[0].keys() for row in rows):
        return None
    return two_level_bootstrap(np.array([[row[prompt] for prompt in rows[0]] for row in rows])).interval
