"""What whole answers cost where most tries at one die."""

from __future__ import annotations

from collections.abc import Mapping

from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import mean_of, present


class TriesDiagnostic(RolloutDiagnostic):
    """Tries of a `SequenceGeometricSampler`; absent with other samplers. Sums over rollouts and ranks.

    - `tries/survived_fraction` = survivors / tries, which tends to the mean of Z(x) weighted by tries
    - `tries/tokens_per_answer` = tokens drawn, those of tries that died and of pilots included, / answers
    - `tries/sequential_fraction` = answers that sequential Monte Carlo gave, since the tries ran out / answers

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        facts = rollout.info.facts
        if not {"tries", "survivors"} <= set(facts):
            return
        # A prompt's numbers stand in each of its rows: ratios of their sums are those over prompts.
        for name in ("tries", "survivors"):
            self.add(name, facts[name].sum())
        self.add("sequential", (facts["survivors"] == 0).sum())
        self.add("answers", float(len(rollout)))
        self.add("tokens", float(report.generated))

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        found = {
            "survived_fraction": mean_of(stats, "survivors", "tries"),
            "tokens_per_answer": mean_of(stats, "tokens", "answers"),
            "sequential_fraction": mean_of(stats, "sequential", "answers"),
        }
        return present({f"tries/{name}": value for name, value in found.items()})
