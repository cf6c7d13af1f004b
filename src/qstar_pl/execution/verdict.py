"""What is known of a program after its tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
    """The judgement of one program."""

    outcome: Outcome
    detail: str
    """One line for a person; may quote the program's own words."""
    passed_tests: int
    """Of `tests`; where only the first failure was looked for, those before it."""
    tests: int
    """At least 1; a HumanEval problem is one test unless every one was asked for."""
    seconds: float
    """Wall time of all its runs."""

    @property
    def passed(self) -> bool:
        """Return whether all tests passed."""
        return self.outcome is Outcome.PASSED

    @property
    def share(self) -> float:
        """Return the share of tests passed, in [0, 1]; 1 only for a program that passed."""
        # What fails outside the tests that are counted fails one of them.
        return 1.0 if self.passed else min(self.passed_tests, self.tests - 1) / self.tests
