"""Scoring many answers, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qstar_pl.types import Rollout


def score_in_chunks(scorer: Callable[..., Tensor], rollout: Rollout, rows_per_chunk: int) -> Tensor:
    """Return the rewards [rows] of scorer(prompts, prompt_index, completion_ids, completion_mask)."""
    columns = (rollout.prompt_index, rollout.completion_ids, rollout.completion_mask)
    chunks = zip(*(column.split(rows_per_chunk) for column in columns), strict=True)
    return torch.cat([scorer(rollout.prompts, *chunk) for chunk in chunks])
