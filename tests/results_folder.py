"""A results folder made by hand: `results_folder(path, {"ppo": PPO, "q_star": Q_STAR})`, without a single run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

VALIDATIONS = (0, 20, 40, 60, 80, 100)
LOGS = tuple(range(5, 101, 5))


@dataclass(frozen=True)
class MadeCell:
    """What the runs of a cell show: straight lines, on which every seed stands a little higher or lower."""

    classes: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, str] = field(default_factory=dict)
    gain: float = 0.2
    """Of val/reward_gold, from 0.4, over 100 steps."""
    seeds_differ: float = 0.01
    """Standard deviation of that gain over seeds."""
    constant: Mapping[str, float] = field(default_factory=dict)
    """Training metrics that hardly change."""
    step_s: float = 0.3
    status: str = "finished"
    replies: bool = True
    """Whether it records answers and, where it has an α, distributions."""


PPO = MadeCell(
    {"model": "PPO", "sampler": "PolicySampler"}, gain=0.2, constant={"grad/variance": 0.4, "grad/noise_scale": 120.0}
)
Q_STAR = MadeCell(
    {
        "model": "QStar",
        "sampler": "GeometricSampler",
        "alpha": "KLSymmetricAlpha",
        "target": "Expert",
        "weights": "ClippedWeights",
    },
    gain=0.3,
    constant={"grad/variance": 0.2, "grad/noise_scale": 90.0, "ess/ratio": 1.02, "alpha/mean": 0.55},
    step_s=0.4,
)
OFF_POLICY = MadeCell(
    {"model": "OffPolicy", "sampler": "TargetSampler"},
    gain=0.1,
    constant={"grad/variance": 0.9, "grad/noise_scale": 300.0},
)


def results_folder(
    folder: Path,
    cells: Mapping[str, MadeCell],
    seeds: Sequence[int] = (0, 1, 2),
    *,
    name: str = "made",
    comparisons: Sequence[tuple[str, str]] = (),
    baseline: str | None = None,
    prompts: int = 12,
    parts: Sequence[str] = (),
    proxy: float | None = None,
    logs: Sequence[int] = LOGS,
    **about: Any,
) -> Path:
    """Write it and return the folder; `about` replaces parts of results.json.

    With `parts`, held-out prompts belong to them in turn, and each has a score of its own, a little below the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs, curves, times, answers, bins = [], [], [], [], []
    for seed in seeds:
        for number, (cell, made) in enumerate(cells.items()):
            generator = np.random.default_rng([seed, number])
            gain = made.gain + made.seeds_differ * generator.standard_normal()
            logged = [
                (s, "val/reward_gold", 0.4 + gain * s / 100 + 0.001 * generator.standard_normal()) for s in VALIDATIONS
            ]
            logged += [
                (step, f"{key}/{part}", value - 0.1 * place - 0.05 * generator.standard_normal())
                for place, part in enumerate(parts)
                for step, key, value in tuple(logged)
            ]
            spread = ["val/kl_policy_reference", *(f"val/kl_policy_reference/{part}" for part in parts)]
            logged += [(step, key, 0.1 * step) for key in spread for step in VALIDATIONS]
            for key, value in made.constant.items():
                logged += [(step, key, value * float(np.exp(0.03 * generator.standard_normal()))) for step in logs]
            place = {step: (32.0 * step, 900.0 * step, 1000.0 * step) for step in (*VALIDATIONS, *logs)}
            curves += [(cell, seed, step, *place[step], key, value) for step, key, value in logged]
            times += [(cell, seed, s, *place[s], "time/wall_s", made.step_s * s) for s in (*VALIDATIONS, *logs)]
            times += [(cell, seed, step, *place[step], "time/step_s", made.step_s) for step in logs]
            times.append((cell, seed, 100, *place[100], "run/seconds", 100 * made.step_s + 20))
            ended = made.status == "finished"
            measured = [{k: v for s, k, v in logged if s == step and k.startswith("val/")} for step in (0, 100)]
            runs.append(
                {
                    "cell": cell,
                    "seed": seed,
                    "factors": {"method": cell, **made.factors},
                    "classes": dict(made.classes),
                    "status": made.status,
                    "reason": "it ran out of memory" if made.status == "failed" else "",
                    "off_budget": "",
                    "spent": {"steps": 100, "samples": 3200, "generated": 90000, "tokens": 100000},
                    "before": measured[0],
                    "after": measured[1] if ended else {},
                    "held_out": "a4a5",
                    "command": f"qstar fit --config=experiment/tiny_{cell} --seed_everything={seed}",
                    "folder": f"cells/{cell}/seed_{seed}",
                    "digest": "3fd0",
                    "code": "0.1.0+68bf",
                }
            )
            for step, level in ((0, 0.4), (100, 0.4 + gain)) if made.replies else ():
                of_parts = [parts[p % len(parts)] if parts else None for p in range(prompts)]
                noise = np.linspace(-0.5, 0.5, prompts) + 0.1 * generator.standard_normal(prompts)
                rewards = level + noise - noise.mean()
                answers += [
                    (cell, seed, step, p, f"key {p}", part, f"Question {p}?", f"Answer of {cell}.", 20 + p, gold, proxy)
                    for p, (part, gold) in enumerate(zip(of_parts, rewards.tolist(), strict=True))
                ]
            if "alpha/mean" in made.constant and made.replies:
                edges = [-np.inf, 0.0, 0.25, 0.5, 0.75, 1.0, np.inf]
                for step in (50, 100):
                    counts = (0, 3, 20, 40, 5, 0)
                    bins += [(cell, seed, step, "alpha", *edges[i : i + 2], c) for i, c in enumerate(counts)]
    first = next(iter(cells))
    found = {
        "schema": 1,
        "experiment": {"name": name, "variant": "tiny", "title": "Made by hand", "question": "?", "description": ""},
        "budget": {"unit": "samples", "amount": 3200},
        "evaluation": {"score": "val/reward_gold", "metrics": ["val/kl_policy_reference"]},
        "report": {"baseline": baseline or first, "comparisons": [list(one) for one in comparisons]},
        "seeds": list(seeds),
        "runs": runs,
        **about,
    }
    (folder / "results.json").write_text(json.dumps(found, ensure_ascii=False))
    spent = ["cell", "seed", "step", "samples", "generated", "tokens", "key", "value"]
    _table(folder / "curves.parquet", spent, curves)
    _table(folder / "times.parquet", spent, times)
    names = [
        "cell",
        "seed",
        "step",
        "prompt",
        "key",
        "part",
        "prompt_text",
        "completion",
        "tokens",
        "reward_gold",
        "reward_proxy",
    ]
    if answers:
        _table(folder / "answers.parquet", names, answers)
    if bins:
        _table(folder / "distributions.parquet", ["cell", "seed", "step", "quantity", "low", "high", "count"], bins)
    return folder


def as_stage(folder: Path, stage: str, cell: str) -> Path:
    """Make one cell of a folder a stage, from whose end another goes on."""
    file = folder / "results.json"
    found = json.loads(file.read_text())
    found["stages"] = [run for run in found["runs"] if run["cell"] == stage]
    found["runs"] = [
        {**run, "starts_from": stage if run["cell"] == cell else None} for run in found["runs"] if run["cell"] != stage
    ]
    file.write_text(json.dumps(found))
    return folder


EMPTY = {"reward_proxy": pa.float64(), "part": pa.string()}
"""Columns that may hold nothing, with their types."""


def _table(file: Path, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    arrays = {
        name: pa.array(column, EMPTY[name]) if name in EMPTY else pa.array(column) for name, column in columns.items()
    }
    parquet.write_table(pa.table(arrays), file)
