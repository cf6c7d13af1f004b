"""HumanEval's own solutions and broken ones, and pass@k as the mean over every choice of k programs."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from reference.texts import numbers, part, rows_of

from qstar_pl.data.adapters.humaneval import HumanEval
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import Answers, Drawing, ExecutionAccuracy, PassAtK
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.rewards import ExecutionReward
from qstar_pl.types import Example, Turn

WRONG = "    return None\n"


@pytest.fixture(scope="module")
def problems(real_data: Path) -> Sequence[Example]:
    examples = HumanEval().read(str(real_data / "humaneval" / "HumanEval.jsonl.gz"), None, 5).examples
    return [*examples[:4], Example(1, (Turn("user", "?"),), chosen="no tests")]


def drawn(problems: Sequence[Example], right: Sequence[Sequence[bool]]) -> Answers:
    """Programs of each problem, of which some are its solution."""
    rows = [(one, good) for one, goods in zip(problems, right, strict=True) for good in goods]
    return Answers(None, [one.chosen if good else WRONG for one, good in rows], examples=[one for one, _ in rows])


def enumerated(right: Sequence[bool], k: int) -> float:
    choices = list(itertools.combinations(right, k))
    return sum(any(choice) for choice in choices) / len(choices)


def test_pass_at_k_is_the_mean_over_all_choices(problems):
    right = [
        (True, False, False, True, False),
        (False,) * 5,
        (True,) * 5,
        (False, True, False, False, False),
        (True,) * 5,
    ]
    whole = drawn(problems, right)
    metric = PassAtK(k=(1, 2, 4), workers=2)
    found = rows_of(metric, whole)
    for k in (1, 2, 4):
        wanted = [enumerated(one, k) for one in right[:4]]
        assert found[f"pass@{k}"] == [*(pytest.approx(value) for value in wanted), None]
        assert numbers(metric, part(whole, slice(0, 10)), part(whole, slice(10, 25)))[f"pass@{k}"] == pytest.approx(
            sum(wanted) / 4
        )
    # The last problem has no tests: it is left out, and counts as nothing failed.
    assert rows_of(ExecutionAccuracy(workers=2), part(whole, slice(15, 21))) == {
        "execution_accuracy": [0.0, 1.0, 0.0, 0.0, 0.0, None]
    }


def test_how_many_programs_are_drawn():
    assert PassAtK().drawing == Drawing(samples=10)
    assert PassAtK(k=(1, 3), samples=20).drawing == Drawing(samples=20)
    with pytest.raises(UserError, match="samples must be at least the largest k, got 5 for k=10"):
        PassAtK(samples=5)
    with pytest.raises(UserError, match="k must be at least 1, got 0"):
        PassAtK(k=(0, 1))
    with pytest.raises(UserError, match="k must name at least one number of programs, got none"):
        PassAtK(k=())


def test_what_is_missing_is_said_at_the_start(problems):
    assert PassAtK().missing(Facts(problems, samples=5)) == "needs 10 answers to a prompt for k=10, got 5 to each"
    assert PassAtK().missing(Facts(problems)) is None
    assert PassAtK().missing(Facts(problems[4:])) == "needs tests of programs, got none in 1 rows of the data"
    assert ExecutionAccuracy().missing(Facts(problems[4:])) == "needs tests of programs, got none in 1 rows of the data"


def test_a_prompt_with_fewer_programs_than_k_is_left_out(problems):
    whole = drawn(problems[:2], [(True, False), (True,)])
    assert rows_of(PassAtK(k=(1, 2)), whole) == {"pass@1": [0.5, 1.0], "pass@2": [1.0, None]}


def test_metrics_that_read_the_same_answers_run_each_program_once(problems, monkeypatch):
    whole, run = drawn(problems[:2], [(True, False), (True,)]), []
    real = ExecutionReward.verdicts

    def counted(self, examples, completions):
        run.extend(completions)
        return real(self, examples, completions)

    monkeypatch.setattr(ExecutionReward, "verdicts", counted)
    assert rows_of(ExecutionAccuracy(), whole) == {"execution_accuracy": [1.0, 0.0, 1.0]}
    assert rows_of(PassAtK(k=(1,)), whole) == {"pass@1": [0.5, 1.0]}
    assert len(run) == 3
