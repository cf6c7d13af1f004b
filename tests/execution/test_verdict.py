import pytest

from qstar_pl.execution import Outcome, Verdict


@pytest.mark.parametrize(
    ("outcome", "passed", "tests", "share"),
    [
        (Outcome.PASSED, 3, 3, 1.0),
        (Outcome.WRONG_ANSWER, 1, 4, 0.25),
        (Outcome.EXCEPTION, 4, 4, 0.75),
        (Outcome.BROKEN_TESTS, 1, 1, 0.0),
        (Outcome.TIMEOUT, 0, 1, 0.0),
    ],
)
def test_share(outcome, passed, tests, share):
    verdict = Verdict(outcome, "", passed, tests, 0.1)
    assert verdict.share == share
    assert verdict.passed is (outcome is Outcome.PASSED)
