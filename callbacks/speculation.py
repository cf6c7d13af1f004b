"""What speculative sampling drafted, kept and saved."""

from __future__ import annotations

from collections.abc import Mapping

from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import mean_of, present

PLACES = 8
"""Places of a block that are logged, from the first on."""


class SpeculationDiagnostic(RolloutDiagnostic):
    """Drafts of a `SpeculativeSampler`; absent where nothing was drafted. Sums over rollouts and ranks.

    - `speculation/acceptance` = accepted / tested drafts: tested are those before which all were accepted
    - `speculation/acceptance_<n>` = the same of the n-th draft of a block alone, n = 1 … 8
    - `speculation/kept_fraction` = accepted / drafted tokens, with those that stood behind a refused one
    - `speculation/tokens_per_call_<model>` = emitted tokens per row / passes of policy, target or drafter; plain: 1
    - `speculation/draft_fraction`, `speculation/verify_fraction` = shares of decoding time
    - `speculation/predicted_speedup`, `speculation/measured_speedup` = over plain decoding, by the cost model from what
      was accepted, and by the measured times of single-token passes; weighted by the seconds of the rollouts

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        drafting = rollout.info.drafting
        if drafting is None:
            return
        self.add("drafted", float(rollout.info.drafted))
        self.add("tested", float(sum(drafting.tested)))
        self.add("accepted", float(sum(drafting.accepted)))
        for place, (tested, accepted) in enumerate(zip(drafting.tested, drafting.accepted, strict=True), start=1):
            if place <= PLACES:
                self.add(f"tested_{place}", float(tested))
                self.add(f"accepted_{place}", float(accepted))
        self.add("emitted", drafting.emitted / max(1, len(rollout)))
        for model, calls in drafting.calls.items():
            self.add(f"calls_{model}", float(calls))
        seconds = drafting.seconds
        for name in ("draft", "verify", "total"):
            self.add(name, seconds[name])
        for name, value in (("predicted", drafting.predicted), ("measured", drafting.measured)):
            if value is not None:
                self.add(name, value * seconds["total"])
                self.add(f"{name}_seconds", seconds["total"])

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        found = {
            "acceptance": mean_of(stats, "accepted", "tested"),
            "kept_fraction": mean_of(stats, "accepted", "drafted"),
            "draft_fraction": mean_of(stats, "draft", "total"),
            "verify_fraction": mean_of(stats, "verify", "total"),
            "predicted_speedup": mean_of(stats, "predicted", "predicted_seconds"),
            "measured_speedup": mean_of(stats, "measured", "measured_seconds"),
        }
        for place in range(1, PLACES + 1):
            found[f"acceptance_{place}"] = mean_of(stats, f"accepted_{place}", f"tested_{place}")
        for model in ("policy", "target", "drafter"):
            found[f"tokens_per_call_{model}"] = mean_of(stats, "emitted", f"calls_{model}")
        return present({f"speculation/{name}": value for name, value in found.items()})
