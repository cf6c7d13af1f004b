"""`qstar plan`: estimate memory, tokens/s and hours of a `fit` on a cluster.

    qstar plan --config cluster/llama2_7b_q_star
    qstar plan --gpu RTX4090-24GB --gpus 1 --model=DPO --data.batch_size=4

All other words are those of `qstar fit`. No weights are loaded and no hub is asked for models whose shape is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qstar_pl.checks import at_least
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.cli.words import options
from qstar_pl.files import check_not_read, check_writable, write_text
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.gpus import GPUS, gpu

if TYPE_CHECKING:
    from qstar_pl.planning.plan import Plan

FIGURES = {
    "memory_gib": "memory of one GPU, GiB",
    "tflops": "peak rate of one GPU's matrix products in bf16, 10¹² operations/s",
    "memory_gbs": "peak rate at which one GPU reads its memory, 10⁹ bytes/s",
    "link_gbs": "rate between GPUs of a machine, one direction, 10⁹ bytes/s",
}
"""Options that take the place of a figure of `--gpu`."""
RATES = {
    "network_gbs": "rate between machines, per GPU, 10⁹ bytes/s",
    "compute_efficiency": "share of the peak rate that training and scoring reach, at most 1",
    "decode_efficiency": "share of the memory's peak rate that decoding reaches, at most 1",
    "link_efficiency": "share of the links' rate that gathering and reducing reach, at most 1",
}
FORMER = {"optimizer state": "optimiser state", "optimizing": "optimising"}
"""Keys of --json → how they were spelled, which is written too for one release."""

GROUP = "set-up"
"""Below which heading `qstar --help` lists it."""


def make_parser() -> ToolParser:
    """Return the parser of this command's own options."""
    parser = ToolParser("qstar plan", __doc__)
    known = ", ".join(one.name for one in GPUS)
    parser.add_argument("--gpu", default=GPUS[0].name, help=f"which GPU: {known} (default {GPUS[0].name})")
    parser.add_argument("--nodes", type=int, help="machines (default: trainer.num_nodes)")
    parser.add_argument("--gpus", type=int, help="GPUs per machine (default: trainer.devices if a number, else 8)")
    for name, text in FIGURES.items():
        default = getattr(GPUS[0], name)
        parser.add_argument(
            f"--{name}", type=float, help=f"{text} (default: that of --gpu, {default:g} of the default)"
        )
    for name, text in RATES.items():
        default = getattr(Cluster, name)
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{text} (default {default:g})")
    parser.add_argument("--prompt_tokens", type=int, help="tokens of a prompt (default: the longest allowed)")
    parser.add_argument("--answer_tokens", type=int, help="tokens of an answer (default: the longest allowed)")
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=SHAPE",
        help="shape of a model or checkpoint that is not here: a known model, a config.json or its folder; repeatable",
    )
    parser.add_argument(
        "--json",
        type=place,
        help="also write the figures to this file: bytes, seconds, tokens (default: none)",
    )
    return parser


def cluster_of(arguments: Any, trainer: Any) -> Cluster:
    """Return the machines that are named, or else those that the trainer's options ask for."""
    chosen = gpu(arguments.gpu)
    figures = {name: getattr(arguments, name) for name in FIGURES}
    devices = trainer.devices
    machines = {
        "nodes": arguments.nodes if arguments.nodes is not None else int(trainer.num_nodes or 1),
        "gpus": arguments.gpus if arguments.gpus is not None else _count(devices),
    }
    given = {name: value if value is not None else getattr(chosen, name) for name, value in figures.items()}
    return Cluster(gpu=chosen.name, **machines, **given, **{name: getattr(arguments, name) for name in RATES})


def _count(devices: Any) -> int:
    """Return how many devices `trainer.devices` asks for; of "auto" and -1, as many as a machine usually has."""
    if isinstance(devices, list):
        return len(devices)
    return int(devices) if str(devices).isdecimal() and int(devices) > 0 else Cluster.gpus


def figures_of(plan: Plan) -> dict[str, Any]:
    """Return a plan as it is written to JSON: memory in bytes of one process, times in seconds."""
    from dataclasses import asdict

    memory: dict[str, Any] = {}
    for phase, items in plan.phases.items():
        named = dict(items) | {FORMER[name]: value for name, value in items.items() if name in FORMER}
        memory |= {phase: named} | ({FORMER[phase]: named} if phase in FORMER else {})
    times = plan.speed
    return {
        "memory": memory,
        "peak_bytes": plan.peak[1],
        "peak_phase": plan.peak[0],
        "verdict": plan.verdict,
        "seconds": dict(times.phases),
        "step_seconds": times.step_s,
        "tokens_per_second": times.tokens_per_s,
        "cluster": asdict(plan.cluster),
        "workload": asdict(plan.work),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments, words = make_parser().parse_known_args(argv)
    # What is wrong with these options is said before anything is loaded.
    asked = argparse.Namespace(devices=Cluster.gpus, num_nodes=Cluster.nodes)
    cluster_of(arguments, asked)
    from qstar_pl.planning.shapes import given_shapes

    if arguments.json is not None:
        check_writable(arguments.json, "json")
        # Configurations above all, but the value of any option may be a file.
        check_not_read(arguments.json, [Path(one.value) for one in options(words) if one.value], "json")
    at_least(1, prompt_tokens=arguments.prompt_tokens, answer_tokens=arguments.answer_tokens)
    shapes = given_shapes(arguments.shape)
    from qstar_pl.cli.planned import read_plan
    from qstar_pl.planning.printing import lines

    planned = read_plan(
        words,
        lambda trainer: cluster_of(arguments, trainer),
        shapes,
        prompt_tokens=arguments.prompt_tokens,
        answer_tokens=arguments.answer_tokens,
    )
    print("\n".join(lines(planned.plan, planned.steps, planned.changes, planned.notices)))
    if arguments.json is not None:
        write_text(Path(arguments.json), json.dumps(figures_of(planned.plan)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
