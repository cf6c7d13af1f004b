"""Which requests are still to be made, and which comparisons wait for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from qstar_pl.evaluation.judges.judge import Progress
from qstar_pl.evaluation.judges.llm.asker import Question
from qstar_pl.evaluation.judges.llm.cache import Judgment
from qstar_pl.evaluation.judges.llm.outcome import Shown


class Pending:
    """Comparisons as questions, of which several may share one (an answer that is scored, a row that occurs twice)."""

    def __init__(self, comparisons: Sequence[Mapping[Shown, Question]], progress: Progress | None) -> None:
        """Hold the questions of each comparison; `progress` is told when one has all its judgments."""
        self._comparisons = comparisons
        self._progress = progress
        self._judgments: dict[str, Judgment] = {}
        self._left = [{question.key for question in questions.values()} for questions in comparisons]
        self._sharing: dict[str, list[int]] = defaultdict(list)
        for index, keys in enumerate(self._left):
            for key in keys:
                self._sharing[key].append(index)
        self.settled = 0
        """Comparisons that have all their judgments."""

    @property
    def questions(self) -> list[Question]:
        """Each question once, in the order of the comparisons."""
        return list({one.key: one for questions in self._comparisons for one in questions.values()}.values())

    def settle(self, question: Question, judgment: Judgment) -> None:
        """Take the judgment of a question that had none."""
        self._judgments[question.key] = judgment
        for index in self._sharing[question.key]:
            self._left[index].discard(question.key)
            if not self._left[index]:
                self.settled += 1
                if self._progress is not None:
                    self._progress(1)

    def judgments(self) -> list[dict[Shown, Judgment]]:
        """Return those of each comparison; all must be settled."""
        return [
            {shown: self._judgments[one.key] for shown, one in questions.items()} for questions in self._comparisons
        ]
