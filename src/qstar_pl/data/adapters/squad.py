"""SQuAD: questions about a paragraph, with the spans that answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import need, text_list, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward


@dataclass(frozen=True)
class SQuAD(Adapter):
    """Rows with `context`, `question` and `answers` {"text": […], "answer_start": […]}.

    The prompt is the context, an empty line and the question; the first answer is the demonstration, and
    `metadata["answers"]` holds all. A question without an answer (SQuAD 2) is a prompt only.
    """

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        context, question = (text.strip() for text in texts(row, ("context", "question"), where, type(self).__name__))
        need(row, ("answers",), where, type(self).__name__)
        answers = [text.strip() for text in _texts(row["answers"], where) if text.strip()]
        prompt = "\n\n".join(text for text in (context, question) if text) if question else ""
        return single_turn(prompt, next(iter(answers), None), None, {"answers": answers, "source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {"prompt": "context + question", "chosen": "answers.text[0]", "answers": "answers.text"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("context", "question", "answers")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        fits = table.holds(Kind.TEXT, of=("context", "question")) and table.share("answers", _has_texts) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None


def _has_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("text"), list)


def _texts(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if not _has_texts(value):
        raise RowError(where, f"answers must be an object with a list of texts, got {type(value).__name__}")
    return text_list(value["text"], "answers.text", where)
