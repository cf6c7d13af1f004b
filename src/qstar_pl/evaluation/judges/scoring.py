"""Judges that score each answer by itself and compare the scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.evaluation.judges.comparison import Comparison
from qstar_pl.evaluation.judges.judge import Judge, Progress
from qstar_pl.evaluation.judges.verdict import Verdict
from qstar_pl.types import Example

CHUNK = 64
"""Comparisons between two calls of `progress`."""


@dataclass(frozen=True)
class ScoringJudge(Judge):
    """Prefers the answer with the higher score. An answer that stands in several comparisons is scored once."""

    @abstractmethod
    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float | str]:
        """Return the score of each (example, answer), or in words why it has none."""

    def verdict(self, answer: float, baseline: float) -> Verdict:
        """Return what two scores mean; by default that the higher one wins, and equal ones tie."""
        return Verdict.of_scores(answer, baseline)

    def compare(self, comparisons: Sequence[Comparison], progress: Progress | None = None) -> list[Verdict]:
        """See `Judge.compare`."""
        verdicts: list[Verdict] = []
        for start in range(0, len(comparisons), CHUNK):
            chunk = comparisons[start : start + CHUNK]
            verdicts += self._compared(chunk)
            if progress is not None:
                progress(len(chunk))
        return verdicts

    def _compared(self, comparisons: Sequence[Comparison]) -> list[Verdict]:
        # Equal texts have one score, so that they tie whatever a batch's rounding would make of them. Prompts are told
        # apart as objects, which live as long as the comparisons: two with one key may have different tests.
        rows = {(id(one.example), text): one.example for one in comparisons for text in (one.answer, one.baseline)}
        scored = self.scores([(example, text) for (_, text), example in rows.items()])
        found = dict(zip(rows, scored, strict=True))
        pairs = [(found[id(one.example), one.answer], found[id(one.example), one.baseline]) for one in comparisons]
        return [self._verdict(*pair) for pair in pairs]

    def _verdict(self, answer: float | str, baseline: float | str) -> Verdict:
        for score in (answer, baseline):
            if isinstance(score, str):
                return Verdict(None, score)
        assert not isinstance(answer, str)
        assert not isinstance(baseline, str)
        return self.verdict(answer, baseline)
