"""Answers that the data set itself has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qstar_pl.errors import UserError
from qstar_pl.evaluating.sources.source import Answered, Answering, AnswerSource


@dataclass(frozen=True)
class DataAnswers(AnswerSource):
    """The data set's own answer to each prompt."""

    which: Literal["chosen", "rejected"] = "chosen"
    """The preferred answer (or the demonstration), or the worse one."""

    def answers(self, asked: Answering) -> Answered:
        """See `AnswerSource.answers`; rows without such an answer have none."""
        found = {row.index: getattr(row.example, self.which) for row in asked.prompts.rows}
        texts = {index: (text,) for index, text in found.items() if text is not None}
        if not texts:
            raise UserError(
                f"{asked.argument} must be answers that the data have, got {self.which}, of which no row has one"
            )
        return Answered(texts, {"data": self.which})
