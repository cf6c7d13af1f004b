"""What a claim is, and what is said of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from qstar_pl.experiments.report.groups import Group, groups
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.measure import NOTHING, number
from qstar_pl.experiments.report.verdicts.evidence import NOT_MEASURED, SUPPORTED, Evidence, Status, all_of


@dataclass(frozen=True)
class Verdict:
    """A claim and what the numbers say."""

    name: str
    """"H1", "criterion 2", "check 1"."""
    claim: str
    status: Status
    evidence: tuple[Evidence, ...]
    how: str
    """How the numbers were computed."""
    reads: tuple[str, ...]
    """The experiments that they are of; empty if none has them."""
    group: str = ""
    """Conditions, e.g. "shared settings"; ""."""
    missing: str = ""
    """What there is not."""
    is_time: bool = False
    """Whether the numbers are seconds, which differ between two runs of the same."""
    holm: float | None = None
    """Of the claim's largest p-value, corrected over all verdicts that are shown."""

    @property
    def said(self) -> str:
        """The status, with a warning where it does not survive the correction for how much was asked."""
        alone = self.status == SUPPORTED and self.holm is not None and self.holm >= 0.05
        return f"{self.status} (alone; not after Holm)" if alone else self.status

    @property
    def parts(self) -> tuple[str, ...]:
        """The numbers with their intervals, a text each."""
        return tuple(map(evidence_text, self.evidence))

    @property
    def number(self) -> str:
        """The same in a line."""
        return "; ".join(self.parts) or NOTHING

    @property
    def test(self) -> tuple[object, ...]:
        """What two verdicts share if they are one test: those on the same runs, shared and tuned."""
        return (self.name, *((one.value, one.interval, one.p_value) for one in self.evidence))

    @property
    def p_value(self) -> float | None:
        """The largest `p_of_claim` of its parts, as a claim needs all of them; None if one has none."""
        known = [one.p_of_claim for one in self.evidence if one.is_judged]
        return max((p for p in known if p is not None), default=None) if all(p is not None for p in known) else None


def evidence_text(one: Evidence) -> str:
    """Return "q_star − ppo: +0.093 (0.070 to 0.116), 3 seeds"."""
    if one.value is None:
        return f"{one.what}: {one.missing}"
    at = "" if one.interval is None else f" ({number(one.interval.low)} to {number(one.interval.high)})"
    said = one.said or f"{number(one.value)}{at}"
    return f"{one.what}: {said}, {one.seeds} seed{'s' if one.seeds != 1 else ''}"


@dataclass(frozen=True)
class Claim(ABC):
    """Something that experiments can support or not."""

    name: ClassVar[str]
    claim: ClassVar[str]
    how: ClassVar[str]
    prefers: ClassVar[tuple[str, ...]] = ("main", "mvp")
    """Experiments that are read, the first of them that has what is needed; then any other."""
    is_time: ClassVar[bool] = False

    @abstractmethod
    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """Return the parts of the claim in one group of cells; parts that lack a cell say so."""

    def judge(self, several: Sequence[Results]) -> tuple[Verdict, ...]:
        """Return the verdict in each group of the experiment that measures most of what the claim needs."""
        best: tuple[Verdict, ...] = ()
        for results in self.ordered(several):
            found = tuple(self._verdict(results, group) for group in groups(results))
            measured = tuple(one for one in found if one.status != NOT_MEASURED)
            if measured:
                return measured
            best = best or found
        partly = tuple(one for one in best if any(part.value is not None for part in one.evidence))
        return partly or (self.not_measured(best[0].missing if best else "no experiment has run"),)

    def ordered(self, several: Sequence[Results]) -> list[Results]:
        """Return experiments in the order in which they are looked at."""
        order = {name: place for place, name in enumerate(self.prefers)}
        return sorted(several, key=lambda one: order.get(one.name, len(order)))

    def not_measured(self, missing: str) -> Verdict:
        """Return the verdict where nothing is known."""
        return Verdict(self.name, self.claim, NOT_MEASURED, (), self.how, (), missing=missing, is_time=self.is_time)

    def _verdict(self, results: Results, group: Group) -> Verdict:
        parts = tuple(replace(one, experiment=results.name) for one in self.evidence(results, group))
        missing = "; ".join(f"{one.what}: {one.missing}" for one in parts if one.value is None and one.is_judged)
        return Verdict(
            self.name, self.claim, all_of(parts), parts, self.how, (results.name,), group.name, missing, self.is_time
        )
