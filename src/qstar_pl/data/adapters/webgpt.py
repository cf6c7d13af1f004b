"""WebGPT's comparisons: two long answers with sources, and a score each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.columns import need, number, texts
from qstar_pl.data.adapters.comparison import Comparison, Duel, text_prompt
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.types import Turn

_COLUMNS = ("question", "answer_0", "answer_1", "score_0", "score_1")


@dataclass(frozen=True)
class WebGPT(Comparison):
    """Rows with `question` (an object with `full_text`), `answer_0`, `answer_1`, `score_0` and `score_1`.

    The higher score wins; equal ones (0 and 0: no preference) are a tie. `metadata` holds `score_chosen` and
    `score_rejected`.
    """

    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the question."""
        need(row, _COLUMNS, where, type(self).__name__)
        question = row["question"]
        full = question if isinstance(question, Mapping) else {"full_text": question}
        return text_prompt(full, "full_text", where)

    def duel(self, row: Row, where: str) -> Duel:
        """Compare the scores."""
        first, second = texts(row, _COLUMNS[1:3], where, type(self).__name__)
        a, b = (number(row[name], name, where) for name in _COLUMNS[3:])
        return Duel(first, second, a - b, {"score_chosen": max(a, b), "score_rejected": min(a, b)})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {
            "prompt": "question.full_text" if isinstance(row.get("question"), Mapping) else "question",
            "chosen": "answer_0 or answer_1, of the higher of score_0, score_1",
            "rejected": "the other",
        }

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        fits = table.holds(Kind.TEXT, of=_COLUMNS[1:3]) and table.holds(of=_COLUMNS)
        return Claim(Confidence.DATASET, cls()) if fits else None
