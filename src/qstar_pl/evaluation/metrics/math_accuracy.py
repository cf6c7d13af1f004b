"""Whether the final answers of mathematics are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Facts, Need
from qstar_pl.evaluation.metrics.references import references
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.rewards.answers import find_answers
from qstar_pl.rewards.final_answer import FIELDS, FinalAnswerReward
from qstar_pl.types import Example


@dataclass(frozen=True)
class MathAccuracy(AnswerMetric):
    """`math_accuracy`: share of the answers whose final answer equals the reference, whatever its form.

    Found behind "####", in \\boxed{} or behind "the answer is", and compared as `FinalAnswerReward` does: fractions,
    LaTeX and units by what they mean, in bounded time.
    """

    bounds = (0.0, 1.0)

    fields: tuple[str, ...] = FIELDS
    """Where a row's final answer stands, in its metadata or columns; else it is what a reference solution marks."""
    unmarked: bool = True
    """Where an answer marks nothing, take its last number or formula; otherwise it is wrong."""

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.FINAL_ANSWERS})

    def missing(self, facts: Facts) -> str | None:
        """See `Metric.missing`; a solution with a marked final answer is enough."""
        if facts.examples is not None and any(map(self.right_answers, facts.examples)):
            return None
        return super().missing(facts)

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        judge = FinalAnswerReward(self.fields, self.unmarked)
        right = [self.right_answers(example) for example in answers.examples]
        pairs = zip(answers.texts, right, strict=True)
        return {"math_accuracy": Scores.of([float(judge.is_right(text, one)) if one else None for text, one in pairs])}

    def right_answers(self, example: Example) -> tuple[str, ...]:
        """Return the right final answers to a prompt; none if it has none."""
        if said := FinalAnswerReward(self.fields).references(example):
            # A field may hold a whole solution, too.
            return tuple(dict.fromkeys(one for text in said for one in (*find_answers(text, unmarked=False), text)))
        return tuple(one for text in references(example) for one in find_answers(text, unmarked=False))
