"""Claims as a text for the terminal, and as a table for a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from qstar_pl.theory.claim import Claim, Finding

INDENT = "  "


def claim_text(claim: Claim, width: int) -> str:
    """Return name and verdict, the statement, why, and each number beside what it must be."""
    mark = "" if claim.confirmed else "   NOT CONFIRMED"
    lines = [f"{claim.name}: {claim.verdict}{mark}"]
    for text in (f"“{claim.statement}”", claim.because):
        lines += wrap(text, width, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
    lines += _numbers(claim.findings, width)
    return "\n".join(lines)


def _numbers(findings: Sequence[Finding], width: int) -> Iterator[str]:
    values = max(len(finding.shown) for finding in findings)
    for finding in findings:
        said = f"{finding.shown:>{values}}  ({'' if finding.holds else 'must be '}{finding.expected})"
        first, *rest = wrap(finding.quantity, width - 2 * len(INDENT) - values - 26, break_on_hyphens=False)
        room = width - 2 * len(INDENT) - values - 24
        yield f"{INDENT * 2}{first:<{room}}{said}".rstrip()
        yield from (f"{INDENT * 3}{line}" for line in rest)


def claims_markdown(claims: Iterable[Claim]) -> str:
    """Return a table in Markdown, with a row for each number."""
    rows = ["| claim | verdict | quantity | value | must be |", "|---|---|---|---|---|"]
    for claim in claims:
        named = (f"[{claim.name}](#{claim.name})", str(claim.verdict))
        for finding in claim.findings:
            quantity = finding.quantity.replace("|", "\\|")
            rows.append(f"| {' | '.join((*named, quantity, finding.shown, finding.expected))} |")
            named = ("", "")
    return "\n".join(rows)
