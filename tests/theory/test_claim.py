from __future__ import annotations

import math

import pytest

from qstar_pl.theory.claim import Claim, Finding, Verdict, zero


@pytest.mark.parametrize(
    ("finding", "holds"),
    [
        (Finding("x", 0.5, 0.4, 0.6), True),
        (Finding("x", 0.7, 0.4, 0.6), False),
        (Finding("x", 0.3, low=0.4), False),
        (Finding("x", math.nan), False),
        (zero("x", -1e-12), True),
        (zero("x", -1e-3), False),
    ],
)
def test_a_number_holds_within_its_range(finding: Finding, holds: bool) -> None:
    assert finding.holds is holds
    assert Claim("a", "b", Verdict.TRUE, "c", (Finding("y", 1.0), finding)).confirmed is holds


def test_how_numbers_and_ranges_are_written() -> None:
    findings = (Finding("x", 1.23456, 1, 2), Finding("x", 0, high=3), Finding("x", 5, low=4), Finding("x", 1, 1, 1))
    assert [one.shown for one in findings] == ["1.23", "< 1e-09", "5", "1"]
    assert [one.expected for one in findings] == ["1 to 2", "≤ 3", "≥ 4", "1"]
