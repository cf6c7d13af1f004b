"""GSM8K: school mathematics, solved step by step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

_MARK = "####"
_CALCULATION = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class GSM8K(Adapter):
    """Rows with `question` and `answer`, whose last line is "#### " and the final answer.

    The demonstration is the whole answer. `metadata["final_answer"]` holds what follows the last "####", without
    thousands separators ("1,250" → "1250"). A row without it is counted and left out.
    """

    calculations: bool = True
    """Keep the calculator's notes, such as <<48/2=24>>, in the demonstration."""

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        question, answer = texts(row, ("question", "answer"), where, type(self).__name__)
        final = answer.rpartition(_MARK)[2].strip() if _MARK in answer else ""
        if not final:
            raise RowRejected("there is no final answer after ####")
        solution = answer if self.calculations else _CALCULATION.sub("", answer)
        metadata = {"final_answer": final.replace(",", ""), "source": where}
        return single_turn(question.strip(), solution.strip(), None, metadata)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {"prompt": "question", "chosen": "answer", "final_answer": "answer, behind ####"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("question", "answer")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim answers that end with "#### " and a number."""
        fits = table.holds(Kind.TEXT, of=("question", "answer")) and table.share("answer", _is_worked) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None


def _is_worked(answer: Any) -> bool:
    return isinstance(answer, str) and f"\n{_MARK} " in answer
