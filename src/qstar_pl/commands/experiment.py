"""`qstar experiment`: compare configurations under the same seeds in one table.

Options that are not listed here go to every run, as for `qstar fit`.

    qstar experiment
    qstar experiment --config experiment/tiny_q_star --config experiment/tiny_ppo --seeds 5
    qstar experiment --seeds 1 --trainer.max_steps 50
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from qstar_pl.checks import at_least
from qstar_pl.cli.shipped import configuration, names
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError

if TYPE_CHECKING:
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.seeds import SeedResult

GROUP = "train"
"""Below which heading `qstar --help` lists it."""

DEFAULT = "experiment/tiny_"
"""Prefix of the names of the configurations that are compared by default."""
COSTS = {"samples": "samples/total", "tokens": "tokens/total", "time, s": "time/wall_s"}


def objectives(name: str, result: SeedResult) -> list[str]:
    """Return the metrics by which a configuration is judged.

    Methods that learn from comparisons are judged by preference accuracy, all others by the gold reward. Where a proxy
    reward is maximized, it is shown too, since it can rise while the gold reward falls.
    """
    compared = not any(key.startswith("reward/") for key in result.series) and "loss/accuracy" in result.series
    wanted = "preference_accuracy" if compared else "reward_gold"
    if f"val/{wanted}" not in result.after:
        raise UserError(f"config must train a method that reports val/{wanted}, got {name}")
    return [wanted] if compared or "val/reward_proxy" not in result.after else ["reward_proxy", wanted]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return "mean ± s.d." over seeds (n−1; no ± for one seed)."""
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text


def print_comparison(results: dict[str, list[SeedResult]], console: SpellingConsole) -> None:
    """Print one line per configuration."""
    from rich.table import Table

    table = Table(title="held-out, mean ± s.d. over seeds", title_justify="left")
    for heading in ("experiment", "metric", "before", "after", "gain", "rose", "KL(θ‖init)", *COSTS):
        table.add_column(heading, justify="left" if heading in ("experiment", "metric") else "right", no_wrap=True)
    for name, seeds in results.items():
        key = "val/kl_policy_reference"
        divergence = [seed.after[key] for seed in seeds if key in seed.after]
        costs = [spread(divergence, 2) if divergence else ""]
        # The last value of a running total.
        costs += [spread([seed.series[key][-1][1] for seed in seeds], 0) for key in COSTS.values()]
        for number, metric in enumerate(objectives(name, seeds[0])):
            before = [seed.before[f"val/{metric}"] for seed in seeds]
            after = [seed.after[f"val/{metric}"] for seed in seeds]
            gains = [late - early for early, late in zip(before, after, strict=True)]
            rose = f"{sum(gain > 0 for gain in gains)}/{len(gains)}"
            row = [metric, spread(before), spread(after), spread(gains), rose]
            table.add_row(*([name, *row, *costs] if number == 0 else ["", *row]))
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser("qstar experiment", __doc__)
    parser.add_argument(
        "--config", action="append", help=f"file or name, may be given several times; default: all {DEFAULT}*"
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 on")
    parser.add_argument(
        "--output", type=place, default=Path("runs/experiment"), help="folder for runs, results and figure"
    )
    arguments, overrides = parser.parse_known_args(argv)
    at_least(1, seeds=arguments.seeds)
    import torch

    from qstar_pl.cli.build import build
    from qstar_pl.console import SpellingConsole
    from qstar_pl.experiments.seeds import run_seed

    wanted = arguments.config or [name for name in names() if name.startswith(DEFAULT)]
    configs = [configuration(config) for config in wanted]
    torch.set_num_threads(1)  # see quickstart: these models are too small for more
    results: dict[str, list[SeedResult]] = {}
    arguments.output.mkdir(parents=True, exist_ok=True)
    for config in configs:
        folder = arguments.output / config.stem
        results[config.stem] = [run_seed(build, seed, config, folder, overrides) for seed in range(arguments.seeds)]
        # Written after every configuration, so that stopping early loses nothing.
        kept = {name: [asdict(seed) for seed in seeds] for name, seeds in results.items()}
        (arguments.output / "results.json").write_text(json.dumps(kept))
    print_comparison(results, SpellingConsole(width=160))
    return 0


if __name__ == "__main__":
    sys.exit(main())
