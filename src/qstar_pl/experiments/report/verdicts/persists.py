"""H5, which several experiments decide together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.groups import Group, groups
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.verdicts.evidence import Evidence, absent, all_of
from qstar_pl.experiments.report.verdicts.paired import HIGHER, of_score
from qstar_pl.experiments.report.verdicts.verdict import Claim, Verdict

MAP, LONG_RUN = "map", "long_run"


@dataclass(frozen=True)
class Persists(Claim):
    """H5."""

    name = "H5"
    claim = "the gain of q* persists as π_t gets worse or farther, the reward noisier, and training longer"
    how = (
        "final score of q* minus that of on-policy PPO under every condition of the map, and at the end of the long "
        "run, paired by seed; all must be positive"
    )
    prefers = (MAP, LONG_RUN)

    def evidence(self, results: Results, group: Group) -> tuple[Evidence, ...]:
        """See `Claim.evidence`."""
        mine, its = roles.q_star(results, group.cells), roles.on_policy(results, group.cells)
        found = of_score(results, mine, its, "on-policy")
        where = f"{results.name}, {group.name}" if group.name else results.name
        return (replace(found, what=f"{where}: {found.what}", experiment=results.name),)

    def judge(self, several: Sequence[Results]) -> tuple[Verdict, ...]:
        """Return one verdict over both experiments."""
        read = [one for one in self.ordered(several) if one.name in self.prefers]
        parts = [part for results in read for group in groups(results) for part in self.evidence(results, group)]
        lacking = [name for name in self.prefers if name not in {one.name for one in read}]
        if not parts:
            return (self.not_measured(f"no results of {' and '.join(lacking)}"),)
        parts += [absent(f"{name}: q* − on-policy", HIGHER) for name in lacking]
        missing = "; ".join(f"{one.what}: {one.missing}" for one in parts if one.value is None)
        names = tuple(one.name for one in read)
        return (Verdict(self.name, self.claim, all_of(tuple(parts)), tuple(parts), self.how, names, "", missing),)
