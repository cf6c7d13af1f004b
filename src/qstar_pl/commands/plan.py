"""`qstar plan`: estimate memory, tokens/s and hours of a `fit` on a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from lightning.pytorch import Trainer
from rich.table import Table

from qstar_pl.cli.quiet import quieten
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.cli.trainer import TrainerCLI
from qstar_pl.console import SpellingConsole
from qstar_pl.planning import memory, speed
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.configured import models_of, run_of
from qstar_pl.planning.memory import GIB, peak, plan_memory
from qstar_pl.planning.speed import Speed, plan_speed
from qstar_pl.planning.workload import Workload, workload


class PlanCLI(TrainerCLI):
    """Parses what `fit` would, and builds the method and the data, but not its trainer: the cluster is elsewhere."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Return a stand-in, with which nothing is run."""
        return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def print_plan(phases: dict[str, dict[str, float]], times: Speed, steps: int | None, cluster: Cluster) -> None:
    """Print memory and time, and the assumptions behind both."""
    console = SpellingConsole(width=110)
    table = Table(title=f"memory of one of {cluster.ranks} processes, GiB", title_justify="left")
    for heading, justify in (("phase", "left"), ("what", "left"), ("GiB", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for phase, items in phases.items():
        for number, (what, size) in enumerate(items.items()):
            table.add_row(phase if number == 0 else "", what, f"{size / GIB:.3f}")
        table.add_row("", "together", f"{sum(items.values()) / GIB:.3f}", end_section=True)
    console.print(table)
    name, most = peak(phases)
    share = most / GIB / cluster.memory_gib
    # The last 10% are for what the plan leaves out, such as fragmentation; see `memory.ASSUMPTIONS`.
    verdict = "fits" if share <= 0.9 else "is tight" if share <= 1 else "does not fit"
    console.print(f"peak: {most / GIB:.2f} GiB while {name}, {share:.0%} of {cluster.memory_gib:g} GiB: {verdict}")
    console.print(f"\ntime of an optimizer step: {times.step_s:.3f} s = " + " + ".join(_parts(times)))
    console.print(f"{times.tokens_per_s:,.0f} tokens of answers per second over all processes")
    if steps:
        console.print(f"{steps} steps: {steps * times.step_s / 3600:.2f} hours")
    console.print("\nassumed:")
    for line in (*memory.ASSUMPTIONS, *speed.ASSUMPTIONS):
        console.print(f"- {line}", highlight=False)


def _parts(times: Speed) -> list[str]:
    return [f"{name} {seconds:.3f}" for name, seconds in times.phases.items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = ToolParser(
        prog="qstar plan",
        description="Estimate memory and time of a training run; all other words are those of `qstar fit`.",
    )
    for field in fields(Cluster):
        assert isinstance(field.default, int | float)
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    parser.add_argument("--prompt_tokens", type=int, help="tokens of a prompt; default: the longest allowed")
    parser.add_argument("--answer_tokens", type=int, help="tokens of an answer; default: the longest allowed")
    parser.add_argument("--json", type=place, help="also write the figures to this file")
    arguments, words = parser.parse_known_args(argv)
    cluster = Cluster(**{field.name: getattr(arguments, field.name) for field in fields(Cluster)})
    quieten()
    cli = PlanCLI(["fit", *words], execute=False)
    module: Any = cli.model
    models = models_of(module)
    settings = cli.config_init["fit"].trainer  # as `fit` would have it, with strategies built
    run = run_of(settings, module, cluster)
    work: Workload = workload(module, cli.datamodule, arguments.prompt_tokens, arguments.answer_tokens)
    phases = plan_memory(models, run, work)
    times = plan_speed(models, run, work, cluster, int(settings.accumulate_grad_batches or 1))
    print_plan(phases, times, settings.max_steps if settings.max_steps != -1 else None, cluster)
    if arguments.json is not None:
        figures = {"memory": phases, "peak_bytes": peak(phases)[1], "seconds": dict(times.phases)}
        arguments.json.write_text(json.dumps({**figures, "cluster": asdict(cluster), "workload": asdict(work)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
