"""H1 to H4: claims about one experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.groups import Group
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.weights import KEY
from qstar_pl.experiments.report.verdicts.evidence import INFINITY, Evidence, absent
from qstar_pl.experiments.report.verdicts.paired import of_gradients, of_score
from qstar_pl.experiments.report.verdicts.shares import share_within
from qstar_pl.experiments.report.verdicts.verdict import Claim

BALANCED = (0.8, 1.2)


@dataclass(frozen=True)
class LearnsMore(Claim):
    """H1."""

    name = "H1"
    claim = "q* learns more per sample than on-policy PPO and than off-policy"
    how = "final held-out score at equal budgets, paired by seed, Student's interval; both differences must be positive"

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        mine = roles.q_star(results, group.cells)
        return (
            of_score(results, mine, roles.on_policy(results, group.cells), "on-policy"),
            of_score(results, mine, roles.off_policy(results, group.cells), "off-policy"),
        )


@dataclass(frozen=True)
class Balances(Claim):
    """H2."""

    name = "H2"
    claim = "KL symmetry balances both ESS during training: their ratio is in [0.8, 1.2] in 95% of the windows"
    how = (
        "share of log windows with ess/ratio in [0.8, 1.2], of all seeds; Wilson's interval with as many independent "
        "windows as the ratio's variation between and within seeds leaves"
    )
    prefers = ("main", "mvp", "alpha")

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        claimed = (0.95, INFINITY)
        mine = roles.q_star(results, group.cells)
        if mine is None:
            return (absent("windows of q* in [0.8, 1.2]", claimed),)
        what = f"windows of {mine} in [0.8, 1.2]"
        windows = {run.seed: results.series(mine, run.seed, KEY, "step").y for run in results.finished(mine)}
        windows = {seed: one[np.isfinite(one) & (one > 0)] for seed, one in windows.items()}
        windows = {seed: one for seed, one in windows.items() if len(one)}
        if not windows:
            return (Evidence(what, None, None, claimed, missing=f"{KEY} was not logged"),)
        share, interval = share_within(list(windows.values()), BALANCED)
        return (Evidence(what, share, interval, claimed, len(windows)),)


@dataclass(frozen=True)
class CalmerGradients(Claim):
    """H3."""

    name = "H3"
    claim = "q* has a lower gradient variance than on-policy PPO and than off-policy"
    how = (
        "judged: ratio of the runs' tr Cov/‖G‖² of a sample, paired by seed, Student's interval of logarithms; both "
        "must be below 1. Shown beside it: ratio of their mean grad/variance, which also goes with the square of the "
        "loss's scale (PPO averages over tokens, the others sum over an answer's). PPO's holds its critic's too"
    )

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        mine = roles.q_star(results, group.cells)
        return (
            *of_gradients(results, mine, roles.on_policy(results, group.cells), "on-policy"),
            *of_gradients(results, mine, roles.off_policy(results, group.cells), "off-policy"),
        )


@dataclass(frozen=True)
class AlphaByContext(Claim):
    """H4."""

    name = "H4"
    claim = "choosing α per context beats every fixed α"
    how = "final held-out score of KL symmetry minus that of each fixed α, paired by seed; all must be positive"
    prefers = ("alpha", "main")

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        mine, fixed = roles.q_star(results, group.cells), roles.fixed_alphas(results, group.cells)
        if not fixed:
            return (of_score(results, mine, None, "fixed α"),)
        compared = tuple(of_score(results, mine, one, "fixed α") for one in fixed)
        # "Every fixed α" is more than one: against a single value a win says that this value was a bad choice.
        return compared if len(fixed) > 1 else (*compared, of_score(results, mine, None, "a second fixed α"))
