import signal

import pytest

from qstar_pl.sandbox import Outcome, Verdict
from qstar_pl.sandbox.verdict import one_line, signal_name


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


def test_names_of_signals():
    assert [signal_name(number) for number in (9, 34, 63, 64)] == ["SIGKILL", "SIGRTMIN", "SIGRTMIN+29", "SIGRTMAX"]
    for number in range(1, 200):
        assert signal_name(number)
    assert signal_name(32) == "signal 32"
    assert signal.SIGRTMIN == 34


def test_a_detail_is_one_line_for_any_terminal():
    assert one_line("a\n\x1b[1mü\ud800\0") == r"a\n\x1b[1mü\ud800\x00"
    assert len(Verdict(Outcome.EXCEPTION, "x" * 10**6, 0, 1, 0.0).detail) == 400
