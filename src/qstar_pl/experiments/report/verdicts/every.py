"""All verdicts over the experiments of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qstar_pl.evaluation.statistics import holm
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.main import p_text
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.verdicts.criteria import (
    Balanced,
    BalancedCheck,
    Calmer,
    CalmerCheck,
    Efficient,
    EfficientCheck,
    NoSlower,
    Wins,
)
from qstar_pl.experiments.report.verdicts.evidence import NOT_MEASURED
from qstar_pl.experiments.report.verdicts.hypotheses import AlphaByContext, Balances, CalmerGradients, LearnsMore
from qstar_pl.experiments.report.verdicts.persists import Persists
from qstar_pl.experiments.report.verdicts.verdict import Claim, Verdict

HYPOTHESES: tuple[Claim, ...] = (LearnsMore(), Balances(), CalmerGradients(), AlphaByContext(), Persists())
CRITERIA: tuple[Claim, ...] = (Wins(), Efficient(), Balanced(), Calmer(), NoSlower())
CHECKS: tuple[Claim, ...] = (BalancedCheck(), EfficientCheck(), CalmerCheck())


def hypotheses(several: Sequence[Results]) -> tuple[Verdict, ...]:
    """Return H1 to H5, in each group of cells that has what it needs, Holm's correction over all of them."""
    return _judged(HYPOTHESES, several)


def criteria(several: Sequence[Results]) -> tuple[Verdict, ...]:
    """Return the five criteria of success."""
    return _judged(CRITERIA, several)


def checks(several: Sequence[Results]) -> tuple[Verdict, ...]:
    """Return the three checks of the quick validation."""
    return _judged(CHECKS, several)


def judged(several: Sequence[Results]) -> tuple[tuple[str, tuple[Verdict, ...]], ...]:
    """Return (heading, verdicts) of all that is asked.

    What nothing was measured of is left out whole: an experiment without q* says nothing of it.
    """
    asked = (
        ("Hypotheses", hypotheses(several)),
        ("Criteria of success", criteria(several)),
        ("Quick validation", checks(several)),
    )
    return tuple((title, found) for title, found in asked if any(one.status != NOT_MEASURED for one in found))


def verdict_table(title: str, found: Sequence[Verdict]) -> Table:
    """Return verdicts in rows."""
    heads = ("name", "claim", "verdict", "numbers (95%)", "p of the claim (Holm)", "read")
    rows = tuple(_row(one) for one in found)
    notes = tuple(dict.fromkeys(f"{one.name}: {one.how}." for one in found))
    rule = (
        "Supported: the 95% interval lies wholly where the claim puts the number; not supported: wholly elsewhere. "
        "p: twice that of the claim's one-sided test, at most 1, of its least sure part; so before Holm's correction "
        "it is below 0.05 exactly where the claim is supported. Holm's correction is over the verdicts of this table "
        "that rest on a test."
    )
    return Table(title, heads, rows, 6, (rule, *notes))


def _row(one: Verdict) -> tuple[str, ...]:
    claim = f"{one.claim} ({one.group})" if one.group else one.claim
    said = one.number if one.evidence else one.missing
    return (one.name, claim, one.said, said, p_text(one.holm), ", ".join(one.reads))


def _judged(claims: Sequence[Claim], several: Sequence[Results]) -> tuple[Verdict, ...]:
    found = [verdict for claim in claims for verdict in claim.judge(several)]
    corrected = holm({one.test: one.p_value for one in found if one.p_value is not None})
    return tuple(replace(one, holm=corrected.get(one.test)) for one in found)
