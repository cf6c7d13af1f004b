"""Random numbers that belong to a row, not to a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.hashing import digest as hashed


def row_seed(seed: int, key: int, sample: int, purpose: str = "token") -> int:
    """Mix (seed, prompt key, sample number, purpose) into a 63-bit seed, the same on every machine and version.

    Different purposes (drawing tokens, drafting, accepting) get unrelated streams: a stream that two decisions share
    makes them dependent, and speculative decoding that does so samples from another distribution.
    """
    digest = hashed(f"{purpose}/{seed}/{key}/{sample}")
    return int.from_bytes(digest, "little") >> 1


def row_uniforms(keys: Tensor, samples: int, count: int, *, seed: int, purpose: str = "token") -> Tensor:
    """Draw `count` numbers in [0, 1) for each of prompts × `samples` rows, from one generator per row.

    Args:
        keys: [prompts] int64, what identifies each prompt.
        samples: rows of one prompt, which lie side by side.
        count: numbers per row; a longer stream begins with the shorter one.
        seed: of the whole draw.
        purpose: see `row_seed`.

    Returns:
        [prompts × samples, count] float64 on the CPU; float32 has too few digits to reach improbable tokens.

    """
    generator = torch.Generator()  # seeded anew for each row; always of the CPU, so that every device draws the same
    rows = [
        stream(count, row_seed(seed, key, sample, purpose), generator)
        for key in keys.tolist()
        for sample in range(samples)
    ]
    return torch.stack(rows) if rows else torch.empty(0, count, dtype=torch.float64)


def stream(count: int, seed: int, generator: torch.Generator | None = None) -> Tensor:
    """Return the first `count` numbers [count] in [0, 1) of the stream with this `row_seed`, float64 on the CPU."""
    generator = torch.Generator() if generator is None else generator
    return torch.rand(count, generator=generator.manual_seed(seed), dtype=torch.float64)
