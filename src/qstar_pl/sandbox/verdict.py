"""What is known of a program after its tests."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum

_LONGEST_DETAIL = 400


def one_line(text: str) -> str:
    """Return a stranger's words as one line that any terminal and file takes: what is not printable is escaped."""
    short = text[:_LONGEST_DETAIL]
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape", "backslashreplace").decode() for mark in short
    )


def signal_name(number: int) -> str:
    """Return what a signal is called; real-time signals, as a shell does, by their distance from the first."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else f"signal {number}"


class Outcome(Enum):
    """How the tests ended; the value is what is printed."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong answer"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output limit"
    SYNTAX = "syntax"
    BROKEN_TESTS = "broken tests"
    """The problem's own tests cannot be run: not the program's fault."""


@dataclass(frozen=True)
class Verdict:
    """The judgment of one program."""

    outcome: Outcome
    detail: str
    """One line for a person, printable; may quote the program's own words."""
    passed_tests: int
    """Of `tests`; where only the first failure was looked for, those before it."""
    tests: int
    """At least 1; a HumanEval problem is one test unless every one was asked for."""
    seconds: float
    """Wall time of all its runs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", one_line(self.detail))

    @property
    def passed(self) -> bool:
        """Return whether all tests passed."""
        return self.outcome is Outcome.PASSED

    @property
    def share(self) -> float:
        """Return the share of tests passed, in [0, 1]; 1 only for a program that passed."""
        # What fails outside the tests that are counted fails one of them.
        return 1.0 if self.passed else min(self.passed_tests, self.tests - 1) / self.tests
