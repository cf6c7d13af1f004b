from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from torch import nn

from qstar_pl.evaluation.judges import Comparison, Judge, LengthJudge, Verdict, ask
from qstar_pl.types import Example, Turn

EXAMPLE = Example(1, (Turn("user", "Why?"),))


@dataclass(frozen=True)
class Forgetful(Judge):
    def compare(self, comparisons, progress=None):
        return [Verdict(1.0)]


@dataclass(frozen=True)
class Picky(LengthJudge):
    seen: list[Comparison] = field(default_factory=list)

    def unknown(self, example):
        return "it is forbidden" if example.key == 2 else None

    def compare(self, comparisons: Sequence[Comparison], progress=None):
        self.seen.extend(comparisons)
        return super().compare(comparisons, progress)

    def models(self):
        return [nn.Linear(1, 1)]


def test_the_judge_is_asked_only_what_is_open() -> None:
    unknown = Example(2, EXAMPLE.turns)
    comparisons = [
        Comparison(EXAMPLE, "long", "no"),
        Comparison(EXAMPLE, "same", "same"),
        Comparison(unknown, "a", "bc"),
        Comparison(EXAMPLE, "", "some"),
    ]
    judge, told = Picky(), []
    verdicts = ask(judge, comparisons, told.append)
    assert [verdict.preference for verdict in verdicts] == [1, 0.5, None, 0]
    assert verdicts[2].reason == "it is forbidden"
    assert judge.seen == [comparisons[0], comparisons[3]]
    assert sum(told) == len(comparisons)


def test_nothing_to_compare_asks_nobody() -> None:
    assert ask(Forgetful(), []) == []
    assert ask(Forgetful(), [Comparison(EXAMPLE, "a", "a")])[0].tie


def test_a_judge_that_loses_a_comparison_is_found_out() -> None:
    with pytest.raises(ValueError, match="must return one verdict per comparison, got 1 for 2"):
        ask(Forgetful(), [Comparison(EXAMPLE, "a", "b"), Comparison(EXAMPLE, "c", "d")])


@dataclass(frozen=True)
class Strict(LengthJudge):
    strictness: int = 1


def test_judges_are_told_apart_by_what_decides_their_verdicts() -> None:
    assert Strict().description == "Strict(strictness=1)"
    assert Strict().fingerprint == Strict(expensive=True).fingerprint
    assert (
        len({LengthJudge().fingerprint, Strict().fingerprint, Strict(strictness=2).fingerprint, Picky().fingerprint})
        == 4
    )
    assert len(Strict().fingerprint) == 16
