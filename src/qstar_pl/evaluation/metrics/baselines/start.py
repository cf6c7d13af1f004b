"""The policy's own start as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.evaluation.metrics.baselines.baseline import Baseline, stored
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.needs import Facts


@dataclass(frozen=True)
class Start(Baseline):
    """What π_init answers, drawn with the policy's seed and settings: before training, both say the same."""

    def missing(self, facts: Facts) -> str | None:
        """See `Baseline.missing`."""
        if facts.tokens and facts.redraws:
            moved = f"the policy's start to compare with, got {facts.moved_by}, which moves it"
            return None if facts.moved_by is None else moved
        return f"the policy's start to compare with, got {stored(facts)}"

    def texts(self, answers: Answers) -> list[str | None]:
        """See `Baseline.texts`."""
        return list(answers.redrawn())
