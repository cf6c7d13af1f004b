"""`qstar theory`: measure mean α, ESS ratio and acceptance under q* for two models, next to float64.

qstar theory --policy tiny/policy --target tiny/expert --samples 2
qstar theory --policy tiny/policy --target tiny/expert --sharpen 1 3
qstar theory claims               # what is said of q*, and what is true
qstar theory claims least-variance token-by-token
qstar theory pictures --output pictures --format svg
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError
from qstar_pl.figures.formats import FORMATS

if TYPE_CHECKING:
    from qstar_pl.theory.pair import PairStatistics

GROUP = "look"
"""Below which heading `qstar --help` lists it."""

DEFAULT_PROMPTS = ("Once upon a time", "The little dog", "One day, a girl", "He was very sad because")


def print_table(measured: PairStatistics, reference: PairStatistics, contexts: int, factor: float = 1.0) -> None:
    """Print the measured and the reference values, and their difference."""
    from rich.table import Table

    from qstar_pl.console import SpellingConsole

    sharpened = "" if factor == 1 else f", logits × {factor:g}"
    table = Table(title=f"q* on {contexts} contexts{sharpened}", title_justify="left")
    for heading in ("quantity", "measured (fp32)", "reference (fp64)", "|difference|"):
        table.add_column(heading, justify="left" if heading == "quantity" else "right")
    labels = {
        "alpha_mean": "mean α*",
        "alpha_std": "s.d. of α*",
        "ess_ratio": "ESS ratio (θ over t)",
        "acceptance": "acceptance of π_θ drafts",
        "chernoff": "−log Z(α*), nats/token",
        "kl_gap": "|D(q*‖π_θ) − D(q*‖π_t)|, nats/token",
        "kl_policy_target": "D(π_θ‖π_t), nats/token",
    }
    for name, label in labels.items():
        left, right = getattr(measured, name), getattr(reference, name)
        table.add_row(label, f"{left:.6f}", f"{right:.6f}", f"{abs(left - right):.1e}")
    SpellingConsole().print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    words = list(sys.argv[1:] if argv is None else argv)
    parts = {"claims": claims, "pictures": pictures}
    if words and words[0] in parts:
        return parts[words[0]](words[1:])
    if words and not words[0].startswith("-"):
        near = get_close_matches(words[0], parts, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"theory must be followed by claims, pictures or options, got {words[0]}{hint}")
    return pair(words)


def claims(words: Sequence[str]) -> int:
    """Run `qstar theory claims`; 1 if a number is not where its verdict says."""
    parser = ToolParser(
        prog="qstar theory claims",
        description="Show what is claimed of q*, whether it is true, why, and the numbers, each computed now in "
        "float64 (seconds, no model needed). Proofs: docs/theory.md.",
    )
    parser.add_argument("name", nargs="*", help="claims to show (default: all)")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/theory.md (default: a text)")
    given = parser.parse_args(words)
    from qstar_pl.theory.claims.every import CLAIMS
    from qstar_pl.theory.report import claim_text, claims_markdown

    known = {one.__name__.replace("_", "-"): one for one in CLAIMS}
    for name in given.name:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            raise UserError(f"name must be one of the claims, got {name}{hint}")
    width = shutil.get_terminal_size().columns
    found = []
    for name in given.name or known:
        found.append(known[name]())
        if not given.markdown:
            print(claim_text(found[-1], width), end="\n\n", flush=True)
    if given.markdown:
        print(claims_markdown(found))
    wrong = [claim.name for claim in found if not claim.confirmed]
    if not given.markdown:
        print(f"{len(found) - len(wrong)} of {len(found)} verdicts confirmed by their numbers")
    if wrong:
        print(f"error: not confirmed: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def pictures(words: Sequence[str]) -> int:
    """Run `qstar theory pictures`."""
    parser = ToolParser(
        prog="qstar theory pictures",
        description="Draw q_α between two Gaussians in the plane: separated, nested, sharp and flat, and near.",
    )
    parser.add_argument("--output", type=place, required=True, help="folder to write the figures into")
    parser.add_argument("--format", default="png", choices=[suffix[1:] for suffix in FORMATS], help="of the figures")
    given = parser.parse_args(words)
    from qstar_pl.theory.pictures import save_pictures

    for path in save_pictures(given.output, given.format):
        print(path)
    return 0


def pair(words: Sequence[str]) -> int:
    """Run the command for a pair of models."""
    parser = ToolParser("qstar theory", __doc__)
    parser.add_argument("--policy", required=True, help="π_θ: hub id, local folder, or tiny/policy")
    parser.add_argument("--target", required=True, help="π_t: hub id, local folder, or tiny/expert")
    parser.add_argument(
        "--prompt", action="append", help="a prompt, may be given several times; default: four beginnings of stories"
    )
    parser.add_argument("--samples", type=int, default=8, help="number of answers per prompt")
    parser.add_argument("--max_new_tokens", type=int, default=64, help="longest answer, in tokens")
    parser.add_argument("--seed", type=int, default=0, help="seed of the answers")
    parser.add_argument(
        "--sharpen",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="FACTOR",
        help="factors for the logits of both models, with a table for each",
    )
    arguments = parser.parse_args(words)
    at_least(1, samples=arguments.samples)
    if not all(factor > 0 for factor in arguments.sharpen):
        raise UserError(f"sharpen must be positive, got {arguments.sharpen}")
    from qstar_pl.theory.pair import compare, visit

    contexts = visit(
        arguments.policy,
        arguments.target,
        arguments.prompt or DEFAULT_PROMPTS,
        arguments.samples,
        arguments.max_new_tokens,
        arguments.seed,
    )
    # The contexts are drawn once, from the models as they are, and shared by all factors.
    for factor in arguments.sharpen:
        measured, reference = compare(contexts.sharpened(factor))
        print_table(measured, reference, len(contexts.logits[0]), factor)
    return 0


if __name__ == "__main__":
    sys.exit(main())
