"""ROUGE: words, pairs of words and common subsequences that an answer shares with its references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.by_reference import by_reference, columns
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.longest_common import Places, common_indices, common_length, places
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
MAX_WORDS = 20_000
MAX_LINES = 1_000
"""Words of a text that are read, and lines for rougeLsum; what stands behind them does not count."""


def rouge(
    answer: str, references: Sequence[str], kinds: Sequence[Kind] = KINDS, *, stemmer: bool = True
) -> list[float]:
    """Return the F-measure of each kind, the best one over the references.

    The numbers are rouge-score's, whose tokens are runs of a–z and 0–9: a text in another script has none, and scores
    0. What takes quadratic time there, the common subsequences of rougeL and rougeLsum, is counted by `longest_common`.

    Args:
        answer: the text to be scored.
        references: at least one.
        kinds: unigrams, bigrams, the longest common subsequence, and that of rougeLsum's sentences, which are lines.
        stemmer: compare the stems (Porter) of words with more than three letters, as papers on summaries do.

    """
    words, ngrams = _words(stemmer), [kind for kind in kinds if not kind.startswith("rougeL")]
    found: dict[str, float] = {}
    if ngrams:
        best = _scorer(tuple(ngrams), stemmer).score_multi(list(references), answer)
        found = {kind: float(best[kind].fmeasure) for kind in ngrams}
    if "rougeL" in kinds:
        found["rougeL"] = max(_common_f(words.tokenize(one), words.tokenize(answer)) for one in references)
    if "rougeLsum" in kinds:
        lines = words.lines(answer)
        found["rougeLsum"] = max(_summary_f(words.lines(one), lines) for one in references)
    return [found[kind] for kind in kinds]


@dataclass(frozen=True)
class Rouge(AnswerMetric):
    """`rouge1`, `rouge2`, `rougeL`, `rougeLsum`: mean F-measure in [0, 1], of the best reference each."""

    bounds = (0.0, 1.0)

    kinds: tuple[Kind, ...] = KINDS
    """Which of them; the lines of a text are the sentences of rougeLsum."""
    stemmer: bool = True
    """Compare the stems of words with more than three letters, as papers on summaries do."""

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.kinds:
            raise UserError(f"kinds must name at least one of {', '.join(KINDS)}, got none")

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        rows = by_reference(answers, lambda answer, right: rouge(answer, right, self.kinds, stemmer=self.stemmer))
        return columns(rows, self.kinds)


class _Words:
    """rouge-score's tokens of at most `MAX_WORDS` words, each stem worked out once."""

    def __init__(self, stemmer: bool) -> None:
        self.stem = lru_cache(50_000)(_porter()) if stemmer else str
        self.tokenize = lru_cache(4096)(self._tokenize)

    def _tokenize(self, text: str) -> list[str]:
        from rouge_score.tokenize import tokenize

        return [self.stem(word) if len(word) > 3 else word for word in tokenize(text, None)[:MAX_WORDS]]

    def lines(self, text: str) -> list[list[str]]:
        """Return the words of at most `MAX_LINES` lines, at most `MAX_WORDS` in all."""
        found: list[list[str]] = []
        left = MAX_WORDS
        for line in filter(None, text.split("\n")):
            if left <= 0 or len(found) == MAX_LINES:
                break
            found.append(self.tokenize(line)[:left])
            left -= len(found[-1])
        return found


def _porter() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


@cache
def _words(stemmer: bool) -> _Words:
    return _Words(stemmer)


@cache
def _scorer(kinds: tuple[str, ...], stemmer: bool) -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(kinds), tokenizer=_words(stemmer))


def _f_measure(shared: int, reference: int, answer: int) -> float:
    if not shared:
        return 0.0
    precision, recall = shared / answer, shared / reference
    return 2 * precision * recall / (precision + recall)


def _common_f(reference: list[str], answer: list[str]) -> float:
    return _f_measure(common_length(reference, answer), len(reference), len(answer))


def _summary_f(reference: list[list[str]], answer: list[list[str]]) -> float:
    """Return the F-measure of the summaries' union of subsequences: Lin 2004, section 3.2, each word counted once."""
    left = [Counter(word for line in lines for word in line) for lines in (reference, answer)]
    sizes = [count.total() for count in left]
    # What a line of the reference shares with a set of lines does not depend on how often one is there.
    lines = [(line, places(line)) for line in dict.fromkeys(tuple(line) for line in answer)]
    shared = 0
    unions: dict[tuple[str, ...], list[str]] = {}
    for line in map(tuple, reference):
        if line not in unions:
            unions[line] = _union(line, lines, left[1])
        for word in unions[line]:
            if left[0][word] > 0 and left[1][word] > 0:
                shared += 1
                left[0][word] -= 1
                left[1][word] -= 1
    return _f_measure(shared, *sizes)


def _union(line: tuple[str, ...], lines: Sequence[tuple[tuple[str, ...], Places]], known: Collection[str]) -> list[str]:
    """Return the words of a line that stand in its longest common subsequence with at least one of the others."""
    reachable = sum(word in known for word in line)
    found = set[int]()
    for other, standing in lines:
        if len(found) == reachable:  # no other line can add to it
            break
        if not standing.keys().isdisjoint(line):
            found.update(common_indices(line, standing, other))
    return [line[place] for place in sorted(found)]
