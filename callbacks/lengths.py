"""How long the answers are, and whether they end."""

from __future__ import annotations

from collections.abc import Mapping

from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .reductions import mean_of, present


class LengthsDiagnostic(RolloutDiagnostic):
    """Lengths of the N sampled answers.

    - `completion/length_mean` = counted tokens / N, EOS included
    - `completion/ended_fraction` = share of the answers that ended with EOS (the others were cut at max_new_tokens)

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        answers = rollout.completion_mask.any(-1)  # a row without a counted token is filler
        self.add("answers", answers.sum())
        self.add("tokens", rollout.completion_mask.sum())
        self.add("ended", (rollout.ended_mask & answers).sum())

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        return present(
            {
                "completion/length_mean": mean_of(stats, "tokens", "answers"),
                "completion/ended_fraction": mean_of(stats, "ended", "answers"),
            }
        )
