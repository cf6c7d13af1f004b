"""Pairs of invented distributions in float64 on which claims are tried, and Λ of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.qstar import bisect_kl_symmetry, geometric_mixture

HALVINGS = 60
"""Of [0, 1] in the search for α*: beyond the spacing of float64."""


@dataclass(frozen=True)
class Pairs:
    """Log-probabilities of π_θ and π_t [pairs, tokens], float64."""

    policy: Tensor
    target: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """ℓ = log π_θ − log π_t [pairs, tokens], nats."""
        return self.policy - self.target

    def alpha(self) -> Tensor:
        """Return α* [pairs] with D(q‖π_θ) = D(q‖π_t)."""
        return bisect_kl_symmetry(self.policy, self.target, max_iter=HALVINGS).alpha

    def mixture(self, alpha: Tensor | float) -> Tensor:
        """Return log q_α [pairs, tokens] for α [pairs] in [0, 1]."""
        return geometric_mixture(self.policy, self.target, alpha).logprobs

    def log_z(self, alpha: Tensor | float) -> Tensor:
        """Return Λ(α) = log Σ_y π_θ(y)^α π_t(y)^(1−α) [pairs], nats, for any real α [pairs]."""
        exponent = torch.as_tensor(alpha, dtype=torch.float64).reshape(-1, 1)
        return (self.target + exponent * self.log_ratio).logsumexp(-1)


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs_at(distance: float, *, pairs: int = 400, tokens: int = 200, seed: int = 0) -> Pairs:
    """Return pairs with peaked π_θ and a log-ratio of that standard deviation over the tokens.

    Logits of π_θ are 3 times a standard normal, as peaked as a small language model's; those of π_t differ from them by
    `distance` times another.
    """
    logits = 3 * _random(pairs, tokens, seed=seed)
    return Pairs(logits.log_softmax(-1), (logits + distance * _random(pairs, tokens, seed=seed + 1)).log_softmax(-1))


def sharpened(factor: float, *, pairs: int = 400, tokens: int = 200, seed: int = 0) -> Pairs:
    """Return pairs in which π_t has the logits of π_θ times `factor`: the same order of tokens, held more firmly."""
    logits = _random(pairs, tokens, seed=seed)
    return Pairs(logits.log_softmax(-1), (factor * logits).log_softmax(-1))


def reordered(distance: float, *, pairs: int = 400, tokens: int = 200, seed: int = 0) -> Pairs:
    """Return pairs in which π_t is π_θ with tokens 2i and 2i+1 exchanged, so that Λ(α) = Λ(1 − α)."""
    logits = distance * _random(pairs, tokens, seed=seed)
    policy = logits.log_softmax(-1)
    return Pairs(policy, policy.unflatten(-1, (-1, 2)).flip(-1).flatten(-2))
