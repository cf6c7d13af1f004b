"""How many answers change with what shares their batch, by dtype: 32 prompts, alone and together.

The models are the tiny world's own.

Run as `python benchmarks/batch_mates.py` (or `just bench batch_mates`); a minute on one CPU core.
"""

from __future__ import annotations

import torch

from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch, Rollout

PROMPTS, LONGEST, NEW_TOKENS = 32, 30, 32


def prompts() -> PromptBatch:
    """Return prompts of random tokens and of 5 to 29 of them."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(5, LONGEST, (PROMPTS,), generator=generator)
    mask = torch.arange(LONGEST) >= (LONGEST - lengths).unsqueeze(1)
    ids = torch.where(mask, torch.randint(5, 600, (PROMPTS, LONGEST), generator=generator), 0)
    return PromptBatch(ids, mask, torch.arange(PROMPTS), ())


def alone(batch: PromptBatch, row: int) -> PromptBatch:
    """Return one prompt, without pads."""
    mask = batch.prompt_mask[row]
    return PromptBatch(batch.prompt_ids[row, mask].unsqueeze(0), mask[mask].unsqueeze(0), batch.keys[row : row + 1], ())


def common_tokens(one: Rollout, other: Rollout, row: int) -> int:
    """Return how many first tokens `row` of the batch shares with the answer given alone; −1 if all."""
    together = one.completion_ids[row][one.completion_mask[row]].tolist()
    single = other.completion_ids[0][other.completion_mask[0]].tolist()
    if together == single:
        return -1
    pairs = zip(together, single, strict=False)
    return next((time for time, (a, b) in enumerate(pairs) if a != b), min(len(together), len(single)))


def measure(dtype: torch.dtype) -> None:
    """Print the share of answers that change, and how far log q of the same token is from itself before they do."""
    source = Pretrained("tiny/policy")
    tokenizer = source.tokenizer()
    policy, target = (
        LanguageModel(one.load().to(dtype).eval(), tokenizer) for one in (source, Pretrained("tiny/expert"))
    )
    sampler, batch = GeometricSampler(max_new_tokens=NEW_TOKENS), prompts()
    together = sampler.draw(batch, policy, target, samples=1, seed=3)
    changed, differences = 0, [0.0]
    for row in range(PROMPTS):
        single = sampler.draw(alone(batch, row), policy, target, samples=1, seed=3)
        shared = common_tokens(together, single, row)
        changed += shared >= 0
        time = int(single.completion_mask.sum()) if shared < 0 else shared
        gaps = (together.behavior_logprobs[row, :time] - single.behavior_logprobs[0, :time]).abs()
        differences += gaps.tolist()
    print(f"{dtype}: {changed} of {PROMPTS} answers changed; log q of the same token differs by {max(differences):.1e}")


if __name__ == "__main__":
    for number_format in (torch.float32, torch.bfloat16):
        measure(number_format)
