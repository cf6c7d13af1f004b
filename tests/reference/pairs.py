"""The pairs of the benchmark, for the tests."""

import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from pairs import pair_families as pair_families


def random_pair(
    *shape: int, seed: int = 0, scale: float = 1.5, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Two independent rows of normal logits, normalised."""
    generator = torch.Generator().manual_seed(seed)
    logits = [scale * torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    return logits[0].log_softmax(-1).to(dtype), logits[1].log_softmax(-1).to(dtype)
