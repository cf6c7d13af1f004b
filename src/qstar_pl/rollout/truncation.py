"""Temperature, top-k and top-p, applied to q itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Truncation:
    """What turns q into the law that tokens are drawn from; the defaults change nothing."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    @property
    def cuts(self) -> bool:
        """Whether some token may lose all its probability."""
        return self.top_k is not None or (self.top_p is not None and self.top_p < 1)

    @property
    def changes(self) -> bool:
        """Whether the law differs from q at all."""
        return self.cuts or self.temperature != 1

    def __call__(self, logprobs: Tensor) -> Tensor:
        """Return the renormalized log-probabilities of the law, −inf for tokens that were cut.

        In this order: q^(1/temperature) is renormalized, the `top_k` most probable tokens are kept and renormalized,
        then the smallest set of the most probable tokens whose mass reaches `top_p`.

        Args:
            logprobs: [..., vocab], log q.

        """
        if self.temperature != 1:
            logprobs = (logprobs / self.temperature).log_softmax(-1)
        # A k that keeps everything must change nothing, not even by rounding.
        if self.top_k is not None and self.top_k < logprobs.shape[-1]:
            logprobs = keep_top_k(logprobs, self.top_k)
        if self.top_p is not None and self.top_p < 1:
            logprobs = keep_top_p(logprobs, self.top_p)
        return logprobs


def keep_top_k(logprobs: Tensor, k: int) -> Tensor:
    """Keep exactly k tokens (of equally probable ones at the edge, some) and renormalize."""
    kept, ids = logprobs.topk(k, dim=-1)
    # By place and not by a threshold, which equally probable tokens would pass together.
    return torch.full_like(logprobs, -torch.inf).scatter(-1, ids, kept.log_softmax(-1))


def keep_top_p(logprobs: Tensor, p: float) -> Tensor:
    """Keep the most probable tokens until their mass reaches p, the one that reaches it included, and renormalize."""
    ordered, ids = logprobs.sort(dim=-1, descending=True, stable=True)
    probs = ordered.exp()
    # float64: near the end of a large vocabulary single tokens vanish in a float32 running sum.
    before = probs.cumsum(-1, dtype=torch.float64) - probs  # mass of the tokens that come first
    before[..., 0] = 0.0  # the most probable token stays, whatever rounding says
    kept = ordered.masked_fill(before >= p, -torch.inf).log_softmax(-1)
    return torch.empty_like(logprobs).scatter(-1, ids, kept)
