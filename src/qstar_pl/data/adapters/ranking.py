"""Several answers to one prompt, each with a score or a rank."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.answers import prompt_turns
from qstar_pl.data.adapters.columns import as_number, as_text, mapping, need
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.types import Example


@dataclass(frozen=True)
class Ranking(Adapter):
    """Rows with several answers. The best is `chosen`, another with a lower score `rejected`.

    `metadata` holds `score_chosen` and `score_rejected`. Rows with fewer than two different scores are left out.
    """

    worse: Literal["worst", "next"] = "worst"
    """Which one is `rejected`: the worst of all, or the best of those that are worse than `chosen`."""

    @abstractmethod
    def scored(self, row: Row, where: str) -> list[tuple[str, float | None]]:
        """Return each answer with its score, higher is better; None: not judged.

        Raises:
            RowError: if a column is missing or of the wrong type.

        """

    @property
    @abstractmethod
    def prompt_column(self) -> str:
        """The column of the prompt."""

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        need(row, (self.prompt_column,), where, type(self).__name__)
        if row[self.prompt_column] in (None, "", []):
            raise RowRejected("the prompt is empty")
        turns = prompt_turns(row[self.prompt_column], self.prompt_column, where)
        judged = [
            (text.strip(), score) for text, score in self.scored(row, where) if score is not None and text.strip()
        ]
        # Python's sort is stable: of equal scores, the first answer counts.
        ranked = sorted(judged, key=lambda pair: -pair[1])
        worse = [pair for pair in ranked if pair[1] < ranked[0][1]]
        if not worse:
            raise RowRejected("there are no two answers with different scores")
        (chosen, high), (rejected, low) = ranked[0], worse[0 if self.worse == "next" else -1]
        metadata = {"source": where, "score_chosen": high, "score_rejected": low}
        return dialogue_example(turns, chosen, rejected, metadata)


def _objects(row: Row, name: str, where: str) -> list[dict[str, Any]]:
    """Return a list of objects; an object of lists, as Arrow may store it, is one too."""
    value = row.get(name)
    if isinstance(value, Mapping) and all(isinstance(items, list) for items in value.values()):
        value = [dict(zip(value, items, strict=False)) for items in zip(*value.values(), strict=False)]
    if not isinstance(value, list):
        raise RowError(where, f"{name} must be a list of answers, got {type(value).__name__}")
    return [mapping(item, f"an item of {name}", where) for item in value]


@dataclass(frozen=True)
class UltraFeedback(Ranking):
    """Rows with `instruction` and `completions`, objects with `response` and scores (openbmb/UltraFeedback).

    Its binarized descendants, with `chosen` and `rejected`, are read by `Messages`.
    """

    score: Literal["overall_score", "fine-grained_score"] = "overall_score"
    """Which score of a completion decides; the mean of the aspects' is the fine-grained one."""

    @property
    def prompt_column(self) -> str:
        """The instruction."""
        return "instruction"

    def scored(self, row: Row, where: str) -> list[tuple[str, float | None]]:
        """Return the completions' responses and scores."""
        found = _objects(row, "completions", where)
        return [
            (as_text(one.get("response") or "", "response", where), as_number(one.get(self.score))) for one in found
        ]

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        answer = f"completions[].response, of the highest {self.score}"
        return {"prompt": "instruction", "chosen": answer, "rejected": f"of the {self.worse}"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("instruction", "completions")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim completions with responses and a score."""

        def scores(value: Any) -> set[str]:
            keys = _keys(value)
            return {"overall_score", "fine-grained_score"} & set(keys) if "response" in keys else set()

        if not table.holds(Kind.TEXT, of=("instruction",)) or not table.holds(
            Kind.LIST, Kind.OBJECT, of=("completions",)
        ):
            return None
        if table.share("completions", scores) <= 0.5:
            return None
        overall = table.share("completions", lambda value: "overall_score" in scores(value)) > 0.5
        return Claim(Confidence.DATASET, cls(score="overall_score" if overall else "fine-grained_score"))


@dataclass(frozen=True)
class Nectar(Ranking):
    """Rows with `prompt` ("Human: … Assistant:") and `answers`, objects with `answer` and `rank`; rank 1 is the best.

    The scores in `metadata` are ranks with their sign turned.
    """

    @property
    def prompt_column(self) -> str:
        """The prompt."""
        return "prompt"

    def scored(self, row: Row, where: str) -> list[tuple[str, float | None]]:
        """Return the answers and their ranks, turned."""
        ranked = [(one.get("answer") or "", as_number(one.get("rank"))) for one in _objects(row, "answers", where)]
        return [(as_text(text, "answer", where), None if rank is None else -rank) for text, rank in ranked]

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {
            "prompt": "prompt",
            "chosen": "answers[].answer, of the lowest rank",
            "rejected": f"of the {self.worse}",
        }

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("prompt", "answers")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim answers with ranks."""

        def ranked(value: Any) -> bool:
            keys = _keys(value)
            return "answer" in keys and "rank" in keys

        fits = table.holds(Kind.TEXT, of=("prompt",)) and table.share("answers", ranked) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None


def _keys(value: Any) -> Iterable[str]:
    """Return the keys of an object, or of a list's first."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, Mapping) else ()
