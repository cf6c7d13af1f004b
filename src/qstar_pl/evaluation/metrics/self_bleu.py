"""Self-BLEU (Zhu et al. 2018, arXiv:1802.01886, §3.3): how alike the answers to one prompt are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from qstar_pl.checks import at_least
from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores


def self_bleu(texts: Sequence[str], n: int = 4) -> float | None:
    """Return the mean BLEU of each text against the others as its references, 0 to 100; None of fewer than two.

    sacrebleu's sentence BLEU: its tokenizer 13a, exponential smoothing, and for texts of fewer than n words only the
    orders that they have.
    """
    if len(texts) < 2:
        return None
    from sacrebleu.metrics import BLEU  # here, since `fit` seldom needs it

    bleu = BLEU(max_ngram_order=n, effective_order=True)
    others = [[*texts[:row], *texts[row + 1 :]] for row in range(len(texts))]
    return fmean(bleu.sentence_score(text, list(rest)).score for text, rest in zip(texts, others, strict=True))


@dataclass(frozen=True)
class SelfBLEU(AnswerMetric):
    """`self_bleu`: BLEU of each answer against the other answers to its prompt, mean over prompts, 0 to 100; 100 where
    the policy always says the same.
    """

    bounds = (0.0, 100.0)

    samples: int = 4
    """Answers that are drawn for each prompt; of a file, all that it has count. It rises with their number."""
    n: int = 4
    """Longest n-grams, in words."""
    expensive: bool = True
    """Leave it out of the validations within `fit`."""

    def __post_init__(self) -> None:
        at_least(2, samples=self.samples)
        at_least(1, n=self.n)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.SAMPLES})

    @property
    def drawing(self) -> Drawing:
        """See `AnswerMetric.drawing`."""
        return Drawing(samples=self.samples)

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        found = [self_bleu(answers.texts[rows], self.n) for rows in answers.of_prompts]
        return {"self_bleu": Scores.of(found, "prompt")}
