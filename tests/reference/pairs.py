"""The pairs of the benchmark, for the tests."""

import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from pairs import pair_families as pair_families


def certain_pair(peak: float, rows: int = 32, vocab: int = 105, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Float32 logits of two models that are certain of one token by about `peak` nats, and differ in the tail."""
    generator = torch.Generator().manual_seed(int(peak))
    logits = 2 * torch.randn(rows, vocab, generator=generator)
    other = logits + noise * torch.randn(rows, vocab, generator=generator)
    top = torch.zeros(vocab).index_fill(0, torch.tensor([3]), 1.0)
    heights = peak + torch.randn(2, rows, 1, generator=generator)
    return logits + heights[0] * top, other + (heights[0] + noise * (heights[1] - peak)) * top


def random_pair(
    *shape: int, seed: int = 0, scale: float = 1.5, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Two independent rows of normal logits, normalized."""
    generator = torch.Generator().manual_seed(seed)
    logits = [scale * torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    return logits[0].log_softmax(-1).to(dtype), logits[1].log_softmax(-1).to(dtype)
