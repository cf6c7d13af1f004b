"""Distinct-n (Li et al. 2016, arXiv:1510.03055, §5.2): how many of the n-grams of words are different ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric, Numbers
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores


def ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Return the n-grams of a text's words, which are what spaces and line breaks part."""
    words = text.split()
    return zip(*(words[start:] for start in range(n)), strict=False)


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Return the number of different n-grams in the texts over that of all; None if there are none."""
    grams = [gram for text in texts for gram in ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else None


@dataclass(frozen=True)
class _Distinct(AnswerMetric):
    n: tuple[int, ...] = (1, 2)
    """Words in an n-gram; each gives a number of its own."""

    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not self.n:
            raise UserError("n must name at least one length of n-grams, got none")
        for one in self.n:
            at_least(1, n=one)
        object.__setattr__(self, "n", tuple(self.n))  # YAML has lists

    @abstractmethod
    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""


@dataclass(frozen=True)
class AnswerDistinct(_Distinct):
    """`distinct_<n>_answer`: different n-grams over all n-grams of an answer, mean over answers; low where one
    repeats itself.
    """

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {f"distinct_{n}_answer": Scores.of([distinct([text], n) for text in answers.texts]) for n in self.n}


@dataclass(frozen=True)
class PromptDistinct(_Distinct):
    """`distinct_<n>_prompt`: different n-grams over all n-grams of a prompt's answers together, mean over prompts; low
    where the policy gives one answer again and again.
    """

    samples: int = 4
    """Answers that are drawn for each prompt; of a file, all that it has count."""
    expensive: bool = True
    """Leave it out of the validations within `fit`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, samples=self.samples)

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
        groups = [answers.texts[rows] for rows in answers.of_prompts]
        # One answer alone says nothing of how different several are.
        return {
            f"distinct_{n}_prompt": Scores.of([distinct(one, n) if len(one) > 1 else None for one in groups], "prompt")
            for n in self.n
        }


@dataclass(frozen=True)
class CorpusDistinct(_Distinct):
    """`distinct_<n>_corpus`: different n-grams over all n-grams of all answers together.

    It falls with the number of answers, since words recur, so compare it at equal numbers only.
    """

    all_rows = True
    counts_different = True

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`; a row holds the hashes of its n-grams, and NaN behind the last."""
        return {f"distinct_{n}_corpus": _hashes(answers.texts, n) for n in self.n}

    def compute_rows(self, rows: Mapping[str, Scores]) -> Numbers:
        """See `Metric.compute_rows`."""
        grams = {name: one.counted[~one.counted.isnan()] for name, one in rows.items()}
        return {name: len(one.unique()) / len(one) for name, one in grams.items() if len(one)}


def _hashes(texts: Sequence[str], n: int) -> Scores:
    """Return a number per n-gram [rows, most], equal for equal ones; rows without any do not count."""
    found = [[_hash(gram) for gram in ngrams(text, n)] for text in texts]
    values = torch.full((len(texts), max(map(len, found), default=0)), torch.nan, dtype=torch.float64)
    for row, hashes in enumerate(found):
        values[row, : len(hashes)] = torch.tensor(hashes, dtype=torch.float64)
    return Scores(values, torch.tensor([bool(hashes) for hashes in found], dtype=torch.bool))


def _hash(gram: tuple[str, ...]) -> int:
    """Return 52 bits, which float64 holds exactly: two of a million n-grams coincide in one corpus of 10⁴."""
    return int.from_bytes(blake2b("\0".join(gram).encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 12
