import sys

import pytest

from qstar_pl.evaluation.judges import Comparison, TestsJudge
from qstar_pl.sandbox import Limits
from qstar_pl.types import Example, Turn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")


def problem(test: str) -> Example:
    asked = "def twice(x):\n"
    row = {"task": "humaneval", "task_id": "T/0", "prompt": asked, "entry_point": "twice", "test": test}
    return Example(1, (Turn("user", asked),), metadata={**row, "canonical_solution": "    return 2 * x\n"})


TWO = problem("def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 4\n")
BROKEN = problem("def check(candidate):\n    candidate(1)\n")


@pytest.fixture(scope="module")
def judge():
    made = TestsJudge(workers=1, limits=Limits(wall_s=5.0))
    yield made
    made.close()


def test_more_tests_passed_win(judge) -> None:
    right, half, wrong = "    return 2 * x", "    return x + 1", "    return 0"
    pairs = [(right, half), (half, wrong), (wrong, right), (half, "    return 2"), (right, "    return x + x")]
    verdicts = judge.compare([Comparison(TWO, *pair) for pair in pairs])
    assert [verdict.preference for verdict in verdicts] == [1, 1, 0, 0.5, 0.5]
    assert verdicts[0].extra["scores"] == {"answer": 1.0, "baseline": 0.5}


def test_tests_that_cannot_be_run_give_no_verdict(judge) -> None:
    (verdict,) = judge.compare([Comparison(BROKEN, "    return 2 * x", "    return 0")])
    assert verdict.preference is None
    assert "the tests cannot be run" in verdict.reason


def test_it_can_be_closed_and_used_again(judge) -> None:
    judge.close()
    assert judge.compare([Comparison(TWO, "    return 2 * x", "")])[0].preference == 1
