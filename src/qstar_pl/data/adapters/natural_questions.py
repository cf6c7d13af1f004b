"""NaturalQuestions-open: questions with all short answers that count as right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import need, text_list, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.rows import RowRejected
from qstar_pl.rewards.final_answer import FinalAnswerReward
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example


@dataclass(frozen=True)
class NaturalQuestions(Adapter):
    """Rows with `question` and `answer`, a list of texts. The first answer is the demonstration.

    `metadata["answers"]` holds all of them, for exact match. A row without an answer is counted and left out.
    """

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        need(row, ("question", "answer"), where, type(self).__name__)
        (question,) = texts(row, ("question",), where, type(self).__name__)
        answers = [text.strip() for text in text_list(row["answer"], "answer", where) if text.strip()]
        if not answers:
            raise RowRejected("there is no answer")
        return single_turn(question.strip(), answers[0], None, {"answers": answers, "source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {"prompt": "question", "chosen": "answer[0]", "answers": "answer"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("question", "answer")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim questions with a list of texts as answer."""
        fits = table.holds(Kind.TEXT, of=("question",)) and table.kind("answer") is Kind.LIST
        return Claim(Confidence.DATASET, cls()) if fits else None
