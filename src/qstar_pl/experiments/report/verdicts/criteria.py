"""The five criteria of success of q* against on-policy PPO, and the three checks of the quick validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.groups import Group
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.efficiency import Efficiency
from qstar_pl.experiments.report.tables.measures.weights import ESSRatio
from qstar_pl.experiments.report.verdicts.evidence import Evidence, absent, of_ratios
from qstar_pl.experiments.report.verdicts.hypotheses import BALANCED
from qstar_pl.experiments.report.verdicts.paired import of_efficiency, of_gradients, of_win_rate
from qstar_pl.experiments.report.verdicts.verdict import Claim

PPO = "on-policy"


@dataclass(frozen=True)
class Wins(Claim):
    """Win rate."""

    name = "criterion 1"
    claim = "the win rate of q* against on-policy PPO is above 1/2"
    how = "share of held-out prompts won at the end, ties one half; interval for new seeds and prompts (two-level)"

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        cells = group.cells
        return (of_win_rate(results, roles.q_star(results, cells), roles.on_policy(results, cells), PPO),)


@dataclass(frozen=True)
class Efficient(Claim):
    """Sample efficiency."""

    name = "criterion 2"
    claim = "the sample efficiency of q* over on-policy PPO is above 1"
    how = (
        "samples PPO has spent at its end / samples at which q*'s mean curve first has PPO's final score; the interval "
        "holds the ratios at which the paired difference over seeds could be zero. Where PPO itself had that score "
        "before its end, its own ratio takes the place of 1"
    )

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        cells = group.cells
        mine, its = roles.q_star(results, cells), roles.on_policy(results, cells)
        return (of_efficiency(results, mine, its, PPO, Efficiency("samples")),)


@dataclass(frozen=True)
class Balanced(Claim):
    """ESS ratio."""

    name = "criterion 3"
    claim = "ESS_θ/ESS_t of q* is in [0.8, 1.2]"
    how = "geometric mean of ess/ratio over a run, Student's interval of logarithms over seeds"

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        mine = roles.q_star(results, group.cells)
        if mine is None:
            return (absent("ESS ratio of q*", BALANCED),)
        found = of_ratios(f"ESS ratio of {mine}", ESSRatio().per_seed(results, mine, mine), BALANCED)
        return (found,)


@dataclass(frozen=True)
class Calmer(Claim):
    """Gradient variance."""

    name = "criterion 4"
    claim = "the gradient variance of q* is below that of on-policy PPO"
    how = (
        "judged: ratio of the runs' tr Cov/‖G‖² of a sample, paired by seed, Student's interval of logarithms. Shown "
        "beside it: ratio of their mean grad/variance, which also goes with the square of the loss's scale (PPO "
        "averages over tokens, q* sums over an answer's). PPO's gradient holds its critic's too"
    )

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        cells = group.cells
        return of_gradients(results, roles.q_star(results, cells), roles.on_policy(results, cells), PPO)


@dataclass(frozen=True)
class NoSlower(Claim):
    """Time."""

    name = "criterion 5"
    claim = "q* needs no longer than on-policy PPO to reach PPO's final score"
    how = "as criterion 2, with seconds of training instead of samples: a ratio of at least 1"
    is_time: ClassVar[bool] = True

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        cells = group.cells
        mine, its = roles.q_star(results, cells), roles.on_policy(results, cells)
        return (of_efficiency(results, mine, its, PPO, Efficiency("seconds")),)


@dataclass(frozen=True)
class BalancedCheck(Balanced):
    """Of the quick validation."""

    name = "check 1"
    prefers = ("mvp", "main")


@dataclass(frozen=True)
class EfficientCheck(Efficient):
    """Of the quick validation."""

    name = "check 2"
    prefers = ("mvp", "main")


@dataclass(frozen=True)
class CalmerCheck(Calmer):
    """Of the quick validation."""

    name = "check 3"
    prefers = ("mvp", "main")
