"""Stanford Human Preferences: two answers to a Reddit post, and how many votes each had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.columns import need, number, texts
from qstar_pl.data.adapters.comparison import Comparison, Duel, text_prompt
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.types import Turn

_COLUMNS = ("history", "human_ref_A", "human_ref_B", "score_A", "score_B")


@dataclass(frozen=True)
class SHP(Comparison):
    """Rows with `history` (the prompt), `human_ref_A`, `human_ref_B`, `score_A` and `score_B`; the higher score wins.

    `metadata` holds `score_chosen`, `score_rejected`, `domain` and the scores' ratio `score_ratio`, by which Ethayarajh
    et al. 2022 filter: `--data.filters+=RangeFilter --data.filters.column=score_ratio --data.filters.minimum=2`.
    """

    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the post."""
        need(row, _COLUMNS, where, type(self).__name__)
        return text_prompt(row, "history", where)

    def duel(self, row: Row, where: str) -> Duel:
        """Compare the scores."""
        first, second = texts(row, _COLUMNS[1:3], where, type(self).__name__)
        a, b = (number(row[name], name, where) for name in _COLUMNS[3:])
        high, low = max(a, b), min(a, b)
        ratio = row.get("score_ratio") or (high / low if low > 0 else None)
        scores = {"score_chosen": high, "score_rejected": low, "score_ratio": ratio, "domain": row.get("domain")}
        return Duel(first, second, a - b, scores)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        kept = ", ".join(name for name in ("score_ratio", "domain") if name in row)
        better = "human_ref_A or human_ref_B, of the higher of score_A, score_B"
        return {"prompt": "history", "chosen": better, "rejected": "the other"} | ({"metadata": kept} if kept else {})

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        fits = table.holds(Kind.TEXT, of=_COLUMNS[:3]) and table.holds(of=_COLUMNS[3:])
        return Claim(Confidence.DATASET, cls()) if fits else None
