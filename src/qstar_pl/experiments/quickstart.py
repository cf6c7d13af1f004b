"""`qstar quickstart`: train q* on the tiny world, print what happened, save a figure.

For every seed: gold reward of the policy on held-out prompts, training, gold reward again. The rows that the figure
shows are the run's own `metrics.csv`.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.table import Table

from qstar_pl.commandline.build import build
from qstar_pl.errors import UserError

CONFIG = Path("configs/experiment/quickstart.yaml")
Series = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave."""

    seed: int
    before: dict[str, float]
    """`val/…` metrics of the untrained policy."""
    after: dict[str, float]
    """The same metrics after training."""
    series: Series
    """Training metrics by step."""
    seconds: float
    """Wall time of this seed, evaluation included."""

    def training_mean(self, key: str) -> float:
        """Mean of a training metric over all logged steps."""
        return mean(value for _, value in self.series[key])


def read_series(metrics_csv: Path) -> Series:
    """Read a CSVLogger's file into (step, value) pairs per metric."""
    series: Series = {}
    with metrics_csv.open(newline="") as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                if key not in {"step", "epoch"} and value:
                    series.setdefault(key, []).append((int(row["step"]), float(value)))
    return series


def run_seed(seed: int, config: Path, output: Path, overrides: Sequence[str]) -> SeedResult:
    """Evaluate, train, evaluate."""
    started = time.perf_counter()
    folder = output / f"seed_{seed}"
    run = build(
        [
            f"--config={config}",
            f"--seed_everything={seed}",
            f"--trainer.default_root_dir={folder}",
            *overrides,
        ]
    )
    (before,) = run.trainer.validate(run.module, run.data, verbose=False)[:1]
    run.trainer.fit(run.module, run.data)
    (after,) = run.trainer.validate(run.module, run.data, verbose=False)[:1]
    assert run.trainer.log_dir is not None
    series = read_series(Path(run.trainer.log_dir) / "metrics.csv")
    return SeedResult(seed, dict(before), dict(after), series, time.perf_counter() - started)


def print_summary(results: Sequence[SeedResult], console: Console) -> int:
    """Print a line per seed and return how many of them raised the gold reward."""
    table = Table(title="q* on the tiny world", title_justify="left")
    headings = (
        "seed",
        "gold before",
        "gold after",
        "proxy before",
        "proxy after",
        "mean α",
        "ESS ratio",
        "weight CV",
        "KL(π_θ‖π_init)",
        "s",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            str(result.seed),
            f"{result.before['val/reward_gold']:.3f}",
            f"{result.after['val/reward_gold']:.3f}",
            f"{result.before['val/reward_proxy']:.3f}",
            f"{result.after['val/reward_proxy']:.3f}",
            f"{result.training_mean('alpha/mean'):.3f}",
            f"{result.training_mean('ess/ratio'):.3f}",
            f"{result.training_mean('weights/cv'):.3f}",
            f"{result.after['val/kl_policy_reference']:.2f}",
            f"{result.seconds:.0f}",
        )
    console.print(table)
    gains = [result.after["val/reward_gold"] - result.before["val/reward_gold"] for result in results]
    rose = sum(gain > 0 for gain in gains)
    spread = f" ± {stdev(gains):.3f}" if len(gains) > 1 else ""
    console.print(f"gold reward rose in {rose} of {len(gains)} seeds, by {mean(gains):+.3f}{spread} on average")
    return rose


def save_figure(results: Sequence[SeedResult], path: Path) -> None:
    """Draw the training curves of all seeds: rewards, α, ESS ratio, weights."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = (
        ("reward per answer", (("reward/gold", "gold", "C0"), ("reward/proxy", "proxy", "C1"))),
        ("α", (("alpha/mean", "mean α*", "C2"),)),
        (
            "effective sample size",
            (("ess/ratio", "ESS_θ / ESS_t", "C3"), ("weights/ess_fraction", "ESS/N of weights", "C4")),
        ),
        ("KL, nats per answer", (("kl/policy_reference", "D(π_θ‖π_init)", "C5"),)),
    )
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), sharex=True, layout="constrained")
    for axis, (title, lines) in zip(axes.flat, panels, strict=True):
        for key, label, colour in lines:
            for index, result in enumerate(results):
                points = result.series.get(key, [])
                axis.plot(
                    [step for step, _ in points],
                    [value for _, value in points],
                    color=colour,
                    alpha=0.8,
                    linewidth=1.2,
                    label=label if index == 0 else None,
                )
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8, frameon=False)
        axis.grid(alpha=0.25)
    for axis in axes[-1]:
        axis.set_xlabel("optimiser step")
    figure.suptitle(f"q* on the tiny world, {len(results)} seed(s)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="qstar quickstart",
        description="Train q* on the tiny world; unknown options go to `qstar fit`, e.g. --model.samples_per_prompt=8.",
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0 (default 1)")
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"default {CONFIG}")
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart"), help="default runs/quickstart")
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"seeds must be at least 1, got {arguments.seeds}")
    if not arguments.config.is_file():
        raise UserError(f"config must be an existing file (run this in the repository), got {arguments.config}")
    # Models of some hundred thousand parameters gain nothing from more threads, and where the cores are shared with
    # other work, threads that wait for each other at every small operation cost several times the run.
    torch.set_num_threads(1)
    console = Console()
    results = [run_seed(seed, arguments.config, arguments.output, overrides) for seed in range(arguments.seeds)]
    print_summary(results, console)
    figure = arguments.output / "quickstart.png"
    save_figure(results, figure)
    console.print(f"figure: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
