"""Sampling from models whose parameters are spread over processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from qstar_pl.distributed.sharding import Sharding, sharded_parts
from qstar_pl.rollout.pace import Pace

Gathering = Literal["gathered", "streamed"]
"""gathered: whole parameters on every process for as long as a rollout takes; one all-gather per block and rollout.
streamed: a block's parameters only while it computes; one all-gather per block and *token*, and all processes decode
until the last answer has ended."""


@contextmanager
def generating(
    models: Iterable[nn.Module],
    sharding: Sharding = Sharding(),
    gathering: Gathering = "gathered",
    limit_s: float | None = None,
) -> Iterator[Pace]:
    """Make models fit for many short forward passes inside the block; every process must enter it.

    Models that are not sharded are left alone, so the same code runs on one process. Nothing that training reads is
    changed: parameters are sharded again on the way out, whatever happened inside, and neither modes nor random states
    are touched (answers are drawn from streams of their own).

    Args:
        models: those that are run in the block.
        sharding: how they were sharded.
        gathering: see `Gathering`. The memory that "gathered" costs is one whole copy of `models` in
            `sharding.param_dtype`, per process; what "streamed" costs is time, since weights travel for every token.
        limit_s: longest time of one rollout, s; after it the run ends with a message instead of waiting.

    Yields:
        What the rollout must be given as its pace.

    """
    parts = [part for model in models for part in sharded_parts(model)]
    if gathering == "streamed":
        # Every process decodes as many tokens as the one with the longest answer, whose gathers need all of them.
        yield Pace(everyone=_everyone if parts else bool, limit_s=limit_s)
        return
    try:
        for part in parts:
            part.set_reshard_after_forward(False, recurse=False)  # else the first forward pass would free it again
            part.unshard()
        yield Pace(limit_s=limit_s)
    finally:
        for part in parts:
            part.set_reshard_after_forward(sharding.reshard_after_forward, recurse=False)
            part.reshard()


def _everyone(flag: bool) -> bool:
    """Return whether the flag is set on every process."""
    group = torch.distributed
    # nccl takes no CPU tensors. The minimum of flags is their "and".
    device = "cuda" if group.get_backend() == "nccl" else "cpu"
    flags = torch.tensor(float(flag), device=device)
    group.all_reduce(flags, op=group.ReduceOp.MIN)
    return bool(flags)
