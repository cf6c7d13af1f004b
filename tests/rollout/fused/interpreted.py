"""Runs the kernel on the CPU, by Triton's interpreter: `interpreted.py CASES RESULTS`, both files of torch.save.

A process of its own, since Triton reads TRITON_INTERPRET when it is imported.
"""

import os
import sys
import warnings
from dataclasses import asdict

os.environ["TRITON_INTERPRET"] = "1"

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


def decoded(fused: bool) -> list[dict[str, torch.Tensor]]:
    """Decode answers to two prompts, where somebody looks at every third token; the kernel stands in for CUDA's."""
    tables = [torch.randn(9, 9, generator=torch.Generator().manual_seed(seed)) * 1.5 for seed in (0, 1)]
    policy, target = (TableModel(table, eos=(1,)) for table in tables)
    engine.fused_drawing = lambda law, truncation, _: fused_law(law, truncation)
    rollouts = [
        decode(
            prompt_batch([[3, 4], [5]]), policy, target, Geometric(alpha), samples=2, seed=3, max_new_tokens=5,
            truncation=Truncation(temperature), pace=Pace(look_every=3), fused=fused,
        )
        for alpha, temperature in ((KLSymmetricAlpha(), 1.0), (FixedAlpha(0.3), 0.8))
    ]  # fmt: skip
    names = ("completion_ids", "completion_mask", "ended_mask", *COLUMNS)
    return [{name: getattr(rollout, name) for name in names} for rollout in rollouts]


if __name__ == "__main__":
    results = {}
    # The interpreter is numpy, which warns of what a device just computes.
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        for name, case in torch.load(sys.argv[1]).items():
            results[name] = asdict(draw(**case))
        results |= {"decoded": decoded(fused=True), "decoded eagerly": decoded(fused=False)}
    torch.save(results, sys.argv[2])
