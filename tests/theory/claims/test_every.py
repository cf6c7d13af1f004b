"""Every verdict stands on its numbers, and docs/theory.md says the same as the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from qstar_pl.theory.claim import Claim
from qstar_pl.theory.claims.every import CLAIMS
from qstar_pl.theory.report import claims_markdown

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/theory.md"


@pytest.fixture(scope="module")
def claims() -> Sequence[Claim]:
    return [make() for make in CLAIMS]


@pytest.mark.parametrize("number", range(len(CLAIMS)), ids=[make.__name__ for make in CLAIMS])
def test_the_numbers_are_where_the_verdict_says(number: int, claims: Sequence[Claim]) -> None:
    claim = claims[number]
    assert claim.findings
    assert [finding for finding in claim.findings if not finding.holds] == []
    assert claim.name == CLAIMS[number].__name__.replace("_", "-")


def test_the_document_proves_each_with_the_same_verdict(claims: Sequence[Claim]) -> None:
    text = DOCUMENT.read_text()
    for claim in claims:
        section = text.split(f"### {claim.name}\n\n", 1)[1]
        assert section.lower().startswith(f"**{claim.verdict}"), claim.name
    assert [line[4:] for line in text.splitlines() if line.startswith("### ")] == [claim.name for claim in claims]


def test_the_document_has_the_numbers_of_the_command(claims: Sequence[Claim]) -> None:
    _, table = DOCUMENT.read_text().split("<!-- begin: qstar theory claims --markdown -->\n")
    assert table.split("\n<!-- end -->")[0] == claims_markdown(claims)
