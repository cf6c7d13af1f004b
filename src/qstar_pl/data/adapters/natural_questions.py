"""NaturalQuestions-open and TriviaQA: questions with all short answers that count as right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import need, text_list, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

UNKNOWN = "<unk>"
"""What TriviaQA's test split has in place of an answer."""


@dataclass(frozen=True)
class NaturalQuestions(Adapter):
    """Rows with `question` and `answer`, a list of texts, or an object with `value` and `aliases` (TriviaQA).

    The first answer, or the value, is the demonstration.

    `metadata["answers"]` holds all of them, for exact match. A row without an answer is counted and left out.
    """

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        need(row, ("question", "answer"), where, type(self).__name__)
        (question,) = texts(row, ("question",), where, type(self).__name__)
        answers = list(dict.fromkeys(text.strip() for text in _answers(row["answer"], where) if text.strip()))
        if not answers:
            raise RowRejected("there is no answer")
        return single_turn(question.strip(), answers[0], None, {"answers": answers, "source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        if isinstance(row.get("answer"), Mapping):
            return {"prompt": "question", "chosen": "answer.value", "answers": "answer.value, answer.aliases"}
        return {"prompt": "question", "chosen": "answer[0]", "answers": "answer"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("question", "answer")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim questions with a list of texts, or a text and its aliases, as answer."""
        listed = table.kind("answer") is Kind.LIST or table.share("answer", _has_aliases) > 0.5
        return Claim(Confidence.DATASET, cls()) if listed and table.holds(Kind.TEXT, of=("question",)) else None


def _has_aliases(value: Any) -> bool:
    return isinstance(value, Mapping) and {"value", "aliases"} <= set(value)


def _answers(value: Any, where: str) -> list[str]:
    if not _has_aliases(value):
        return text_list(value, "answer", where)
    answers = text_list([value["value"], *(value["aliases"] or ())], "answer.value and answer.aliases", where)
    return [text for text in answers if text != UNKNOWN]
