"""The KL-symmetric exponent of a mixture of whole answers."""

from __future__ import annotations

import torch
from torch import Tensor

HALVINGS = 40


def symmetric_sequence_alpha(policy: Tensor, target: Tensor, proposal: Tensor) -> Tensor:
    """Return α [...] with D(q‖π_θ) = D(q‖π_t) for q ∝ π_θ(y|x)^α π_t(y|x)^(1−α) over whole answers y.

    Λ_seq(α) = log Z_α(x) is convex with the derivative E_q[ℓ], ℓ = log π_θ(y|x) − log π_t(y|x), so α minimizes it.
    The expectation is that of n answers drawn from a proposal, under self-normalized weights π_θ^α π_t^(1−α)/proposal:
    consistent, with an error of order 1/√n. If it has one sign on all of [0, 1], α is the end where it is nearest to 0.

    Args:
        policy: [..., n] log π_θ(y|x) of the answers, nats.
        target: [..., n] log π_t(y|x).
        proposal: [..., n] log of the law that they were drawn from, finite.

    """
    policy, target, proposal = policy.double(), target.double(), proposal.double()
    ratio = policy - target

    def slope(alpha: Tensor) -> Tensor:
        weights = (target + alpha.unsqueeze(-1) * ratio - proposal).softmax(-1)
        return (weights * ratio).sum(-1)

    low = torch.zeros_like(ratio[..., 0])
    high = torch.ones_like(low)
    # The slope increases. Where it has no root, halving ends at the right end by itself.
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above_mask = slope(middle) > 0
        low, high = torch.where(above_mask, low, middle), torch.where(above_mask, middle, high)
    return (low + high) / 2
