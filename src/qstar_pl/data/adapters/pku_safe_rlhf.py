"""PKU-SafeRLHF: two answers, which one is better and which one is safer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.columns import need, number, texts
from qstar_pl.data.adapters.comparison import Comparison, Duel, text_prompt
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError
from qstar_pl.types import Turn

_COLUMNS = ("prompt", "response_0", "response_1")
_VERDICTS = ("better_response_id", "safer_response_id")


@dataclass(frozen=True)
class PKUSafeRLHF(Comparison):
    """Rows with `prompt`, `response_0`, `response_1`, and the number of the better and of the safer answer.

    `metadata` holds `safe_chosen` and `safe_rejected` where the dataset says it (`is_response_0_safe`, …).
    """

    by: Literal["better", "safer"] = "better"
    """Which verdict decides: `better_response_id` or `safer_response_id`."""

    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the prompt."""
        need(row, (*_COLUMNS, self._verdict), where, type(self).__name__)
        return text_prompt(row, "prompt", where)

    @property
    def _verdict(self) -> str:
        return f"{self.by}_response_id"

    def duel(self, row: Row, where: str) -> Duel:
        """Take the verdict; −1 means that there is none."""
        first, second = texts(row, _COLUMNS[1:], where, type(self).__name__)
        winner = number(row[self._verdict], self._verdict, where)
        if winner not in (-1, 0, 1):
            raise RowError(where, f"{self._verdict} must be 0 or 1, got {row[self._verdict]!r}")
        lead = 0 if winner < 0 else 1 - 2 * winner  # response 0: 1, response 1: −1
        safe = [row.get(f"is_response_{side}_safe") for side in (0, 1)]
        if lead < 0:
            safe.reverse()
        return Duel(first, second, lead, {"safe_chosen": safe[0], "safe_rejected": safe[1]})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        safe = [name for name in ("is_response_0_safe", "is_response_1_safe") if name in row]
        found = {"prompt": "prompt", "chosen": f"response_0 or response_1, by {self._verdict}", "rejected": "the other"}
        return found | ({"metadata": ", ".join(safe)} if safe else {})

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns, by whichever verdict is there."""
        verdict = next((name for name in _VERDICTS if table.holds(of=(name,))), None)
        if verdict is None or not table.holds(Kind.TEXT, of=_COLUMNS):
            return None
        both = all(table.holds(of=(name,)) for name in _VERDICTS)
        remarks = ("--data.adapter=PKUSafeRLHF --data.adapter.by=safer goes by safer_response_id",) if both else ()
        return Claim(Confidence.DATASET, cls("better" if verdict == _VERDICTS[0] else "safer"), remarks)
