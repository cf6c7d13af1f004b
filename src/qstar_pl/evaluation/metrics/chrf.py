"""chrF of a corpus of translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.bleu import signature
from qstar_pl.evaluation.metrics.by_reference import by_reference, counts
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.metrics.sums import Sums

if TYPE_CHECKING:
    from sacrebleu.metrics import CHRF


@dataclass(frozen=True)
class ChrF(AnswerMetric):
    """`chrf`: sacrebleu's F-score of character n-grams of the whole corpus, in [0, 100]; `chrf++` with pairs of words.

    Not a mean over answers: what each adds are its counts of n-grams, those of the reference that fits best, and those
    that both have, for each n.
    """

    bounds = (0.0, 100.0)

    char_order: int = 6
    """Longest n-gram of characters, at least 1."""
    word_order: int = 0
    """Longest n-gram of words: 0, 1 or 2."""
    beta: int = 2
    """How many times as much recall counts as precision, at least 1."""
    lowercase: bool = False
    """Compare without case."""

    def __post_init__(self) -> None:
        """Check the options."""
        at_least(1, char_order=self.char_order, beta=self.beta)
        if self.word_order not in (0, 1, 2):
            raise UserError(f"word_order must be 0, 1 or 2, got {self.word_order}")

    @property
    def key(self) -> str:
        """Under which name it is reported: one plus for each n-gram of words."""
        return "chrf" + "+" * self.word_order

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    @property
    def signatures(self) -> Mapping[str, str]:
        """See `Metric.signatures`."""
        return {self.key: signature(_sacrebleu(self))}

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`; [rows, 3 · n-gram orders]."""
        rows = by_reference(answers, lambda answer, right: chrf_counts(answer, right, self))
        return {self.key: counts(rows, 3 * (self.char_order + self.word_order))}

    def compute(self, sums: Sums) -> Mapping[str, float]:
        """See `Metric.compute`."""
        return {self.key: corpus_chrf(sums[self.key].tolist(), self)} if self.key in sums else {}


def chrf_counts(answer: str, references: Sequence[str], options: ChrF = ChrF()) -> list[int]:
    """Return, for each order, the n-grams of the answer, of the reference that fits best, and of both [3 · orders]."""
    found: list[int] = _sacrebleu(options)._extract_corpus_statistics([answer], [[one] for one in references])[0]
    return found


def corpus_chrf(summed: Sequence[float], options: ChrF = ChrF()) -> float:
    """Return chrF in [0, 100] from the sums [3 · orders] of `chrf_counts`."""
    whole = [round(value) for value in summed]  # counts: sums in float64 are exact
    return float(_sacrebleu(options)._compute_score_from_stats(whole).score)


@cache
def _sacrebleu(options: ChrF) -> CHRF:
    from sacrebleu.metrics import CHRF

    return CHRF(options.char_order, options.word_order, options.beta, options.lowercase)
