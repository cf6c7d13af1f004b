"""Many methods' answers to the same prompts, each compared with each other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.evaluating.prompts import Prompts
from qstar_pl.evaluating.sources import Answered
from qstar_pl.evaluation.judges import Comparison, Judge, Progress, Verdict, ask
from qstar_pl.evaluation.statistics.rows import Floats
from qstar_pl.evaluation.win_rates import Ratings, bradley_terry
from qstar_pl.types import Example


@dataclass(frozen=True)
class Match:
    """Two methods' answers to one prompt."""

    row: int
    """Of the data."""
    number: int
    """Of the answers, where methods have several to a prompt."""
    example: Example
    first: str
    """Name of a method; its answer is the one under judgment."""
    second: str
    """Name of the other; its answer is the baseline."""
    answers: tuple[str, str]
    """Of both."""

    def comparison(self) -> Comparison:
        """Return what a judge is asked."""
        return Comparison(self.example, *self.answers)


def round_robin(prompts: Prompts, methods: Mapping[str, Answered]) -> list[list[Match]]:
    """Return the matches of each prompt that two methods or more have answered.

    Any two methods meet once per answer of the one that has more; the other's answers are taken in turn.
    """
    found: list[list[Match]] = []
    for row in prompts.rows:
        answers = {name: one.texts[row.index] for name, one in methods.items() if row.index in one.texts}
        matches: list[Match] = []
        for first, second in combinations(answers, 2):
            one, other = answers[first], answers[second]
            for number in range(max(len(one), len(other))):
                texts = (one[number % len(one)], other[number % len(other)])
                matches.append(Match(row.index, number, row.example, first, second, texts))
        if matches:
            found.append(matches)
    return found


def judged(judge: Judge, matches: Sequence[Match], progress: Progress | None = None) -> list[Verdict]:
    """Return the judge's verdict on each match."""
    return ask(judge, [match.comparison() for match in matches], progress)


def rows_of(matches: Sequence[Match], verdicts: Sequence[Verdict]) -> Iterator[dict[str, Any]]:
    """Yield a row per match with the fields of AlpacaEval's annotations, which `qstar win-rate` reads."""
    for match, verdict in zip(matches, verdicts, strict=True):
        yield {
            "instruction": dialogue_prompt(match.example.turns).strip(),
            "output_1": match.answers[1],
            "generator_1": match.second,
            "output_2": match.answers[0],
            "generator_2": match.first,
            "preference": None if verdict.preference is None else 1 + verdict.preference,
            "row": match.row,
            "answer_idx": match.number,
            **({} if verdict.reason is None else {"reason": verdict.reason}),
            **({"extra": dict(verdict.extra)} if verdict.extra else {}),
        }


def win_rates(names: Sequence[str], matches: Sequence[Match], verdicts: Sequence[Verdict]) -> Floats:
    """Return how often the row's method is preferred to the column's [methods, methods]; NaN where none was."""
    place = {name: index for index, name in enumerate(names)}
    wins, counts = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    for match, verdict in zip(matches, verdicts, strict=True):
        if verdict.preference is not None:
            one, other = place[match.first], place[match.second]
            wins[one, other] += verdict.preference
            wins[other, one] += 1 - verdict.preference
            counts[[one, other], [other, one]] += 1
    return np.divide(wins, counts, out=np.full_like(wins, np.nan), where=counts > 0)


def rated(
    matches: Sequence[Match], verdicts: Sequence[Verdict], *, prior: float = 0.0, confidence: float = 0.95
) -> Ratings:
    """Return Bradley and Terry's ratings; see `bradley_terry`, also for what it refuses."""
    preferences = [np.nan if verdict.preference is None else verdict.preference for verdict in verdicts]
    return bradley_terry(
        [match.first for match in matches],
        [match.second for match in matches],
        preferences,
        [match.example.key for match in matches],
        prior=prior,
        confidence=confidence,
    )
