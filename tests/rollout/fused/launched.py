"""Runs the kernel: `launched.py CASES RESULTS DEVICE`, both files of torch.save; on the CPU by Triton's interpreter.

A process of its own, since Triton reads TRITON_INTERPRET when it is imported.
"""

import os
import sys
import warnings
from dataclasses import asdict, replace

os.environ["TRITON_INTERPRET"] = "1" if sys.argv[3] == "cpu" else "0"

from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).resolve().parents[2]))
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.qstar import FixedAlpha, KLSymmetricAlpha
from qstar_pl.rollout import Geometric, Truncation, decode, engine
from qstar_pl.rollout.fused.draw import draw
from qstar_pl.rollout.fused.drawing import fused_law
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.trace import COLUMNS

DEVICE = sys.argv[3]


def decoded(fused: bool) -> list[dict[str, torch.Tensor]]:
    """Decode answers to two prompts, where somebody looks at every third token; the kernel stands in for CUDA's."""
    tables = [torch.randn(9, 9, generator=torch.Generator().manual_seed(seed)) * 1.5 for seed in (0, 1)]
    policy, target = (TableModel(table.to(DEVICE), eos=(1,)) for table in tables)
    engine.fused_drawing = lambda law, truncation, _: fused_law(law, truncation)
    batch = prompt_batch([[3, 4], [5]])
    batch = replace(batch, prompt_ids=batch.prompt_ids.to(DEVICE), prompt_mask=batch.prompt_mask.to(DEVICE))
    rollouts = [
        decode(
            batch, policy, target, Geometric(alpha), samples=2, seed=3, max_new_tokens=5,
            truncation=Truncation(temperature), pace=Pace(look_every=3), fused=fused,
        )
        for alpha, temperature in ((KLSymmetricAlpha(), 1.0), (FixedAlpha(0.3), 0.8))
    ]  # fmt: skip
    names = ("completion_ids", "completion_mask", "ended_mask", *COLUMNS)
    return [{name: getattr(rollout, name).cpu() for name in names} for rollout in rollouts]


if __name__ == "__main__":
    results = {}
    # The interpreter is numpy, which warns of what a device just computes.
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        for name, case in torch.load(sys.argv[1]).items():
            given = {key: value.to(DEVICE) if isinstance(value, torch.Tensor) else value for key, value in case.items()}
            results[name] = {key: value.cpu() for key, value in asdict(draw(**given)).items()}
        results |= {"decoded": decoded(fused=True), "decoded eagerly": decoded(fused=False)}
    torch.save(results, sys.argv[2])
