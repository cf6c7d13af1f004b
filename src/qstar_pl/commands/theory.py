"""`qstar theory`: measure mean α, ESS ratio and acceptance under q* for two models, next to float64.

qstar theory --policy tiny/policy --target tiny/expert --samples 2
qstar theory --policy tiny/policy --target tiny/expert --sharpen 1 3
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.tool_parser import ToolParser
from qstar_pl.errors import UserError

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
    arguments = parser.parse_args(argv)
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
