"""The data's preferred answers as the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.evaluation.metrics.baselines.baseline import Baseline
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.needs import Facts, Need


@dataclass(frozen=True)
class Preferred(Baseline):
    """The answer that the data prefers, or its demonstration."""

    @property
    def needs(self) -> frozenset[Need]:
        """See `Baseline.needs`."""
        return frozenset({Need.REFERENCES})

    def missing(self, facts: Facts) -> str | None:
        """See `Baseline.missing`."""
        if facts.examples is None or any(example.chosen is not None for example in facts.examples):
            return None
        return f"preferred answers (chosen) to compare with, got none in {len(facts.examples)} rows of {facts.where}"

    def texts(self, answers: Answers) -> list[str | None]:
        """See `Baseline.texts`."""
        return [example.chosen for example in answers.examples]
