"""A rollout of which a reward reads only the rows of the dataset."""

from dataclasses import fields

import torch

from qstar_pl.types import Example, PromptBatch, Rollout, SamplerInfo, Turn


def rollout_of(metadata: list[dict], prompt_index: list[int]) -> Rollout:
    """Return a rollout with one prompt per row of metadata and answers to the prompts named."""
    examples = tuple(Example(key, (Turn("user", "?"),), metadata=row) for key, row in enumerate(metadata))
    rows = len(prompt_index)
    given = {"prompts", "prompt_index", "completion_ids", "completion_mask", "ended_mask", "info"}
    return Rollout(
        prompts=PromptBatch(
            prompt_ids=torch.zeros(len(examples), 1, dtype=torch.int64),
            prompt_mask=torch.ones(len(examples), 1, dtype=torch.bool),
            keys=torch.arange(len(examples)),
            examples=examples,
        ),
        prompt_index=torch.tensor(prompt_index),
        completion_ids=torch.zeros(rows, 1, dtype=torch.int64),
        completion_mask=torch.ones(rows, 1, dtype=torch.bool),
        ended_mask=torch.ones(rows, dtype=torch.bool),
        info=SamplerInfo(exact=True, seed=0),
        **{field.name: torch.zeros(rows, 1) for field in fields(Rollout) if field.name not in given},
    )
