"""What a metric cannot do without is missed before anything is loaded; one row that has it is enough."""

import pytest
from reference.text_answers import example

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import (
    AnswerMetric,
    CompletionLength,
    Facts,
    Measurements,
    Need,
    RewardGold,
    SelfBLEU,
    check_needs,
)

ROWS = [
    example("a"),
    example("b", chosen="x"),
    example("c", final_answer="3"),
    example("d", task="humaneval"),
]
FOUND = {
    Need.REFERENCES: "needs a reference answer (chosen, or answers), got none in 1 rows of x.jsonl",
    Need.FINAL_ANSWERS: "needs a final answer (final_answer, or answers), got none in 1 rows of x.jsonl",
    Need.TESTS: "needs tests of programs, got none in 1 rows of x.jsonl",
    Need.REWARD: "needs the reward that is maximized (reward), got none",
    Need.GOLD: "needs a gold reward (gold), got none",
    Need.TOKENS: "needs tokens and log-probabilities, which answers of a model have, got texts alone",
    Need.REFERENCE_MODEL: "needs a model to compare with (reference), got none",
    Need.SAMPLES: "needs two or more answers to a prompt, got 1 to each",
}


def needing(need: Need) -> AnswerMetric:
    class Needing(AnswerMetric):
        needs = frozenset({need})

        def scores(self, answers):
            return {}

    return Needing()


@pytest.mark.parametrize("need", Need, ids=lambda need: need.name)
def test_each_need_is_missed_and_met(need: Need) -> None:
    assert needing(need).missing(Facts(ROWS[:1], "x.jsonl", tokens=False, reference=False, samples=1)) == FOUND[need]
    assert needing(need).missing(Facts(ROWS, "x.jsonl", frozenset({"proxy", "gold"}))) is None


def test_what_is_not_known_of_the_rows_is_not_missed() -> None:
    assert needing(Need.TESTS).missing(Facts()) is None


def test_the_first_that_cannot_be_measured_is_named_with_the_option() -> None:
    with pytest.raises(UserError, match=r"^evaluate.metrics must be measurable here: SelfBLEU needs two"):
        check_needs([CompletionLength(), SelfBLEU()], Facts(samples=1), "evaluate.metrics")


def test_in_a_run_optional_metrics_stay_silent_and_expensive_ones_wait() -> None:
    Measurements([RewardGold()]).check(Facts(), fitting=False)
    Measurements([SelfBLEU()]).check(Facts(samples=1), fitting=True)
    with pytest.raises(UserError, match="metrics must be measurable here: SelfBLEU"):
        Measurements([SelfBLEU()]).check(Facts(samples=1), fitting=False)
