"""What rows may say about their one answer: whether it is good, and what the final result is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import as_number, as_text, number
from qstar_pl.data.adapters.table import Kind, Table
from qstar_pl.data.reading.rejected import RowError
from qstar_pl.errors import UserError
from qstar_pl.types import Turn

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

LABELS = ("label", "is_safe", "is_correct", "is_chosen", "is_preferred", "accepted", "thumbs_up", "kto_tag")
"""Columns that are taken for a verdict on the answer, if they hold one."""
SCORES = ("score", "rating", "reward", "overall_score", "helpfulness", "quality")
"""Columns that are taken for a score of the answer, if they hold numbers."""
NEARLY_ALL = 0.9
"""Share of a column's cells that must be verdicts, or numbers; what else there is are slips, and costs its row. Labels
of classes, some of which look like verdicts, have fewer."""
FINALS = ("final_answer", "ground_truth", "expected_answer", "answer")
"""Columns that are taken for the final answer beside a worked solution."""
SYSTEMS = ("system", "system_prompt", "system_message")
"""Columns that are taken for a system turn."""

_VERDICTS = {"true": True, "yes": True, "good": True, "1": True, "false": False, "no": False, "bad": False, "0": False}
_VERDICTS |= {"-1": False, "desirable": True, "undesirable": False, "chosen": True, "rejected": False}
_VERDICTS |= {"correct": True, "incorrect": False, "accepted": True, "safe": True, "unsafe": False}


def verdict(value: Any) -> bool | None:
    """Return whether a label says good or bad; None if it says neither."""
    if isinstance(value, bool):
        return value
    if (found := as_number(value)) is not None:
        return _VERDICTS.get(f"{found:g}")  # 1, 1.0 and "1.00" are all "1"
    return _VERDICTS.get(value.strip().lower()) if isinstance(value, str) else None


# Keywords only, so that subclasses' own fields come first.
@dataclass(frozen=True, kw_only=True)
class Judged(Adapter):
    """Columns beside prompt and answer that any dataset may have. An answer that is labeled bad is not used.

    With `label_field`, an answer is the demonstration only where the label says good: true, yes, good or 1, in text or
    not; its prompt is used in any case. With `score_field`, only from `min_score` on. `metadata` then holds `label` or
    `score`, and with `final_answer_field`, `final_answer` (of a list, `answers`: each counts as right). A column
    that is null, or absent from a row that others have it in, says nothing: there is no system turn, and an answer
    without a verdict is no demonstration.
    """

    system_field: str | None = None
    """Column of the system turn, where it is not empty."""
    label_field: str | None = None
    """Column that says whether the answer is good."""
    score_field: str | None = None
    """Column with the answer's score."""
    min_score: float | None = None
    """Lowest score of a demonstration."""
    final_answer_field: str | None = None
    """Column of the final answer, which rewards compare; "reward_model.ground_truth" leads into an object."""

    def __post_init__(self) -> None:
        if (self.score_field is None) != (self.min_score is None):
            raise UserError(f"min_score must come with score_field, got {self.min_score} and {self.score_field}")

    def default_reward(self) -> Reward | None:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return None if self.final_answer_field is None else FinalAnswerReward()

    def judged(self, row: Row, where: str, chosen: str | None) -> tuple[str | None, dict[str, Any]]:
        """Return the answer, None if it is not said to be good, and what goes into the metadata."""
        metadata: dict[str, Any] = {"source": where}
        if self.label_field is not None:
            value = row.get(self.label_field)
            metadata["label"] = verdict(value)
            if value is not None and metadata["label"] is None:
                rule = f"{self.label_field} must say good or bad (true, 1; false, 0)"
                raise RowError(where, f"{rule}, got {value!r}", rule)
            chosen = chosen if metadata["label"] else None
        if self.score_field is not None and self.min_score is not None:
            value = row.get(self.score_field)
            metadata["score"] = None if value is None else number(value, self.score_field, where)
            good = metadata["score"] is not None and metadata["score"] >= self.min_score
            chosen = chosen if good else None
        if self.final_answer_field is not None and (final := within(row, self.final_answer_field)) is not None:
            metadata |= _final(final, self.final_answer_field, where)
        return chosen, metadata

    def system(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the system turn, if there is one."""
        value = None if self.system_field is None else row.get(self.system_field)
        text = "" if value is None else as_text(value, self.system_field or "", where).strip()
        return (Turn("system", text),) if text else ()

    def judging_columns(self) -> list[str]:
        """Return the columns of this class's fields that are set."""
        names = (self.system_field, self.label_field, self.score_field, self.final_answer_field)
        return [name.split(".")[0] for name in names if name is not None]

    def judging_fields(self) -> dict[str, str]:
        """Return them by role."""
        named = {"system": self.system_field, "good if": self.label_field, "final_answer": self.final_answer_field}
        found = {role: column for role, column in named.items() if column is not None}
        if self.score_field is not None:
            found["good if"] = f"{self.score_field} ≥ {self.min_score:g}"
        return found


def _final(value: Any, name: str, where: str) -> dict[str, Any]:
    """Return the final answer as text; of a list, all answers that count as right; of an object, its JSON text."""
    if isinstance(value, list):
        return {"answers": [as_text(item, name, where).strip() for item in value]}
    if isinstance(value, Mapping):
        return {"final_answer": json.dumps(value, ensure_ascii=False)}
    return {"final_answer": as_text(value, name, where).strip()}


def within(row: Row, name: str) -> Any:
    """Return a column, or with dots in its name a value inside its object; None where there is nothing."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if hasattr(value, "get") else None
    return value


def detect_judgement(table: Table, taken: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of `Judged` that a table asks for, and remarks on them; `taken` are columns used otherwise."""
    free = [name for name in table.columns if name not in set(taken)]
    options: dict[str, Any] = {}
    remarks: tuple[str, ...] = ()
    if (
        system := next((name for name in SYSTEMS if name in free and table.may_hold(name, Kind.TEXT)), None)
    ) is not None:
        options["system_field"] = system
    label = _first(table, LABELS, free)
    verdicts = 0.0 if label is None else table.share(label, lambda value: verdict(value) is not None)
    if verdicts >= NEARLY_ALL:
        options["label_field"] = label
    elif (score := _first(table, SCORES, free)) is not None:
        numbers = [found for value in table.values(score) if (found := as_number(value)) is not None]
        if len(numbers) >= NEARLY_ALL * len(table.values(score)):
            middle = (min(numbers) + max(numbers)) / 2
            options |= {"score_field": score, "min_score": middle}
            remarks = (
                f"answers with {score} from {middle:g} on, the middle of {min(numbers):g} to {max(numbers):g}, count "
                "as good; --data.adapter.min_score says otherwise",
            )
    if (final := _first(table, FINALS, free, Kind.TEXT, Kind.NUMBER)) is not None:
        options["final_answer_field"] = final
    elif "reward_model" in free and any(within(row, "reward_model.ground_truth") is not None for row in table.rows):
        options["final_answer_field"] = "reward_model.ground_truth"
    return options, remarks


def _first(table: Table, names: Iterable[str], free: Iterable[str], *kinds: Kind) -> str | None:
    return table.first([name for name in names if name in free], *kinds)
