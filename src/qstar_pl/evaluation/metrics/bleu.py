"""BLEU of a corpus of translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from qstar_pl.evaluation.metrics.by_reference import by_reference, counts
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.metrics.sums import Sums

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU as SacreBLEU  # noqa: N811 (a class, whose name is an abbreviation)

Tokenize = Literal["13a", "intl", "char", "zh", "none"]
_NAME = "bleu"


@dataclass(frozen=True)
class BLEU(AnswerMetric):
    """`bleu`: sacrebleu's score of the whole corpus, in [0, 100].

    Not a mean over answers: what each adds are its counts of matching and of all n-grams up to 4, and its length beside
    that of the reference nearest to it in length.
    """

    bounds = (0.0, 100.0)

    tokenize: Tokenize = "13a"
    """sacrebleu's tokenization: 13a, intl, char, zh, or none, for texts that are tokenized already."""
    lowercase: bool = False
    """Compare without case."""

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    @property
    def signatures(self) -> Mapping[str, str]:
        """See `Metric.signatures`."""
        return {_NAME: signature(_sacrebleu(self.tokenize, self.lowercase))}

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`; [rows, 10]."""
        rows = by_reference(answers, lambda answer, right: bleu_counts(answer, right, self.tokenize, self.lowercase))
        return {_NAME: counts(rows, 10)}

    def compute(self, sums: Sums) -> Mapping[str, float]:
        """See `Metric.compute`."""
        return {_NAME: corpus_bleu(sums[_NAME].tolist(), self.tokenize, self.lowercase)} if _NAME in sums else {}


def bleu_counts(
    answer: str, references: Sequence[str], tokenize: Tokenize = "13a", lowercase: bool = False
) -> list[int]:
    """Return lengths of answer and nearest reference, matching n-grams (1 to 4) and all of the answer's [10]."""
    found: list[int] = _sacrebleu(tokenize, lowercase)._extract_corpus_statistics([answer], [[r] for r in references])[
        0
    ]
    return found


def corpus_bleu(summed: Sequence[float], tokenize: Tokenize = "13a", lowercase: bool = False) -> float:
    """Return BLEU in [0, 100] from the sums [10] of `bleu_counts`, with sacrebleu's default smoothing."""
    whole = [round(value) for value in summed]  # counts: sums in float64 are exact
    return float(_sacrebleu(tokenize, lowercase)._compute_score_from_stats(whole).score)


def signature(metric: object) -> str:
    """Return how sacrebleu says which BLEU or chrF this is, without the number of references, which is the data's."""
    metric.num_refs = None  # type: ignore[attr-defined]
    said = metric.get_signature()  # type: ignore[attr-defined]
    said.update("nrefs", None)
    return str(said)


@cache
def _sacrebleu(tokenize: Tokenize, lowercase: bool) -> SacreBLEU:
    from sacrebleu.metrics import BLEU as SacreBLEU  # noqa: N811

    return SacreBLEU(tokenize=tokenize, lowercase=lowercase, force=True)
