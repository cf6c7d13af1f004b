"""`qstar quickstart`: train q* on the tiny world, print a summary, save a figure.

For every seed: gold reward of the policy on held-out prompts, training, gold reward again. The figure shows the rows of
the run's own `metrics.csv`. Options that are not listed here go to `qstar fit`.

    qstar quickstart
    qstar quickstart --seeds 3 --model.samples_per_prompt 8
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.shipped import configuration
from qstar_pl.cli.tool_parser import ToolParser, figure, place

if TYPE_CHECKING:
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.seeds import SeedResult

GROUP = "train"
"""Below which heading `qstar --help` lists it."""

CONFIG = "experiment/quickstart"

GOLD, PROXY, KL = "val/reward_gold", "val/reward_proxy", "val/kl_policy_reference"
TRAINED = ("alpha/mean", "ess/ratio", "weights/cv")
ABSENT = "–"
"""Stands for what another method's configuration does not log."""


def print_summary(results: Sequence[SeedResult], console: SpellingConsole) -> int:
    """Print a line per seed and return how many of them raised the gold reward."""
    from rich.table import Table

    table = Table(title=console.verbatim(results[0].name), title_justify="left")
    for heading in ("seed", "gold", "proxy", "α", "ESS ratio", "CV", "KL", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(
            str(result.seed),
            *(_change(result, key) for key in (GOLD, PROXY)),
            *(f"{result.training_mean(key):.2f}" if key in result.series else ABSENT for key in TRAINED),
            f"{result.after[KL]:.2f}" if KL in result.after else ABSENT,
            f"{result.seconds:.0f}",
        )
    console.print(table)
    # Below, since these words as headings would make the table wider than 80 columns.
    console.print(
        "gold, proxy: held-out rewards before → after; KL: D(π_θ‖π_init) after, nats\n"
        "α, ESS ratio (ESS_θ/ESS_t), CV of the weights: means over training; s: seconds",
        highlight=False,
    )
    gains = [one.after[GOLD] - one.before[GOLD] for one in results if GOLD in one.before and GOLD in one.after]
    rose = sum(gain > 0 for gain in gains)
    if not gains:
        return rose
    spread = f" ± {stdev(gains):.2f}" if len(gains) > 1 else ""
    console.print(f"gold reward rose in {rose} of {len(gains)} seeds, by {mean(gains):+.2f}{spread} on average")
    return rose


def _change(result: SeedResult, key: str) -> str:
    known = key in result.before and key in result.after
    return f"{result.before[key]:.2f} → {result.after[key]:.2f}" if known else ABSENT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser("qstar quickstart", __doc__)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0 on")
    parser.add_argument("--config", default=CONFIG, help="file, or name of one that `qstar configs` lists")
    parser.add_argument(
        "--output", type=place, default=Path("runs/quickstart"), help="folder for the runs and the figure"
    )
    parser.add_argument(
        "--figure", type=figure, help="file of the figure, a .png, .pdf or .svg; default: quickstart.png in --output"
    )
    arguments, overrides = parser.parse_known_args(argv)
    at_least(1, seeds=arguments.seeds)
    config = configuration(arguments.config)
    import torch

    from qstar_pl.cli.build import build
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.quickstart import save_figure
    from qstar_pl.experiments.seeds import run_seed

    # Models of some hundred thousand parameters gain nothing from more threads, and on shared cores, threads that wait
    # for each other at every small operation make the run several times slower.
    torch.set_num_threads(1)
    console = SpellingConsole()
    results = [run_seed(build, seed, config, arguments.output, overrides) for seed in range(arguments.seeds)]
    print_summary(results, console)
    drawn_into = arguments.figure or arguments.output / "quickstart.png"
    lines = [f"figure:  {drawn_into}"] if save_figure(results, drawn_into) else []
    lines += [f"runs:    {arguments.output}", "  next:  qstar fit, or qstar experiment --help"]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
