"""`qstar quickstart`: train q* on the tiny world, print what happened, save a figure.

For every seed: gold reward of the policy on held-out prompts, training, gold reward again. The rows that the figure
shows are the run's own `metrics.csv`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.table import Table

from qstar_pl.commandline.shipped import configuration
from qstar_pl.commandline.tool_parser import ToolParser
from qstar_pl.errors import UserError
from qstar_pl.experiments.seeds import SeedResult, run_seed

CONFIG = "experiment/quickstart"
REWARDS = ("gold", "proxy")


def print_summary(results: Sequence[SeedResult], console: Console) -> int:
    """Print a line per seed and return how many of them raised the gold reward."""
    table = Table(title="q* on the tiny world", title_justify="left")
    for heading in ("seed", "gold", "proxy", "mean α", "ESS ratio", "weight CV", "KL(θ‖init)", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        change = [(result.before[f"val/reward_{name}"], result.after[f"val/reward_{name}"]) for name in REWARDS]
        table.add_row(
            str(result.seed),
            *(f"{before:.3f} → {after:.3f}" for before, after in change),
            *(f"{result.training_mean(key):.3f}" for key in ("alpha/mean", "ess/ratio", "weights/cv")),
            f"{result.after['val/kl_policy_reference']:.2f}",
            f"{result.seconds:.0f}",
        )
    console.print(table)
    gains = [result.after["val/reward_gold"] - result.before["val/reward_gold"] for result in results]
    rose = sum(gain > 0 for gain in gains)
    spread = f" ± {stdev(gains):.3f}" if len(gains) > 1 else ""
    console.print(f"gold reward rose in {rose} of {len(gains)} seeds, by {mean(gains):+.3f}{spread} on average")
    return rose


SIZES = "effective sample size"
"""The panel whose axis is logarithmic."""


def save_figure(results: Sequence[SeedResult], path: Path) -> None:
    """Draw the training curves of all seeds: rewards, α, ESS ratio, weights."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = (
        (
            "reward per answer",
            (
                ("val/reward_gold", "gold, π_θ on held-out prompts", "black"),
                ("reward/gold", "gold, answers of q*", "C0"),
                ("reward/proxy", "proxy, answers of q*", "C1"),
            ),
        ),
        ("α", (("alpha/mean", "mean α*", "C2"),)),
        (
            SIZES,
            (("ess/ratio", "ESS_θ / ESS_t", "C3"), ("weights/ess_fraction", "ESS/N of weights", "C4")),
        ),
        ("KL, nats per answer", (("kl/policy_reference", "D(π_θ‖π_init)", "C5"),)),
    )
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), sharex=True, layout="constrained")
    for axis, (title, lines) in zip(axes.flat, panels, strict=True):
        for key, label, colour in lines:
            for index, result in enumerate(results):
                points = result.points(key)
                axis.plot(
                    [step for step, _ in points],
                    [value for _, value in points],
                    color=colour,
                    alpha=0.8,
                    linewidth=1.2,
                    label=label if index == 0 else None,
                )
        axis.set_ylabel(title, fontsize=9)
        if title == SIZES:
            axis.set_yscale("log")  # where r and 1/r lie equally far from 1
        axis.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
        axis.grid(alpha=0.25)
    for axis in axes[-1]:
        axis.set_xlabel("optimiser step")
    figure.suptitle(f"q* on the tiny world, {len(results)} seed(s)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser(
        prog="qstar quickstart",
        description="Train q* on the tiny world; unknown options go to `qstar fit`, e.g. --model.samples_per_prompt=8.",
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0 (default 1)")
    parser.add_argument("--config", default=CONFIG, help=f"default {CONFIG}")
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart"), help="default runs/quickstart")
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"seeds must be at least 1, got {arguments.seeds}")
    config = configuration(arguments.config)
    # Models of some hundred thousand parameters gain nothing from more threads, and where the cores are shared with
    # other work, threads that wait for each other at every small operation cost several times the run.
    torch.set_num_threads(1)
    console = Console()
    console.width = max(console.width, 100)  # a pipe counts as 80 columns, which cuts the numbers
    results = [run_seed(seed, config, arguments.output, overrides) for seed in range(arguments.seeds)]
    print_summary(results, console)
    figure = arguments.output / "quickstart.png"
    save_figure(results, figure)
    console.print(f"figure: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
