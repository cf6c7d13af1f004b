"""How long the answers are to a reader, which no tokenizer changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.scores import Scores


@dataclass(frozen=True)
class TextLength(AnswerMetric):
    """`length_words`, `length_characters`: mean words, which spaces and line breaks part, and characters of an answer,
    without spaces at its ends; an empty answer has 0.
    """

    bounds = (0.0, math.inf)

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {
            "length_words": Scores.of([len(text.split()) for text in answers.texts]),
            "length_characters": Scores.of([len(text.strip()) for text in answers.texts]),
        }
