from __future__ import annotations

from qstar_pl.theory.claim import Claim, Finding, Verdict
from qstar_pl.theory.report import claim_text, claims_markdown

CLAIM = Claim(
    "some-name", "All is well.", Verdict.FALSE, "It " + "is not " * 20, (Finding("|x| of a pair", 2, high=1),)
)


def test_what_is_not_confirmed_is_marked_and_lines_are_folded() -> None:
    text = claim_text(CLAIM, 60)
    assert text.startswith("some-name: false   NOT CONFIRMED\n")
    assert "2  (must be ≤ 1)" in text
    assert max(map(len, text.splitlines())) <= 60


def test_bars_do_not_end_a_cell() -> None:
    assert claims_markdown([CLAIM]).splitlines()[-1] == (
        r"| [some-name](#some-name) | false | \|x\| of a pair | 2 | ≤ 1 |"
    )
