"""A judge that should not be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qstar_pl.evaluation.judges.comparison import Comparison
from qstar_pl.evaluation.judges.judge import Judge, Progress
from qstar_pl.evaluation.judges.verdict import Verdict


@dataclass(frozen=True)
class LengthJudge(Judge):
    """Prefers the answer with more characters: a negative control, whose win rate says how much length alone explains.

    A length-controlled win rate of its verdicts must be near one half.
    """

    expensive: bool = field(default=False, repr=False)

    def compare(self, comparisons: Sequence[Comparison], progress: Progress | None = None) -> list[Verdict]:
        """See `Judge.compare`."""
        if progress is not None:
            progress(len(comparisons))
        return [Verdict.of_scores(len(one.answer), len(one.baseline)) for one in comparisons]
