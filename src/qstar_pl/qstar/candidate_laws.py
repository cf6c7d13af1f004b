"""Targets that only a set of scored answers defines: best-of-n and the high-reward conditional."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.checks import at_least, within
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.qstar.tensors import require_tensors


@dataclass(frozen=True)
class CandidateLaw(ABC):
    """Turns the policy's distribution over a set of answers and their rewards into π_t over the set."""

    def __call__(self, policy_logprobs: Tensor, rewards: Tensor) -> Tensor:
        """Return log π_t [..., N] over the set, normalized; −inf means probability 0, as it does in `policy_logprobs`.

        Args:
            policy_logprobs: [..., N] log π_θ over the set, normalized.
            rewards: [..., N].

        Raises:
            NonFiniteError: if the reward of a candidate that counts is NaN or infinite.

        """
        require_tensors(policy_logprobs=policy_logprobs, rewards=rewards)
        counts_mask = policy_logprobs > -torch.inf
        if not bool((rewards.isfinite() | ~counts_mask).all()):
            raise NonFiniteError("rewards of candidates must be finite, got NaN or infinity")
        dtype = torch.promote_types(policy_logprobs.dtype, rewards.dtype)
        return self.law(policy_logprobs.to(dtype), rewards.to(dtype))

    @abstractmethod
    def law(self, policy_logprobs: Tensor, rewards: Tensor) -> Tensor:
        """Return log π_t [..., N]; both arguments have one dtype, and rewards that count are finite."""


@dataclass(frozen=True)
class BestOfN(CandidateLaw):
    """The law of the best of n independent draws from π_θ over the set; equal rewards share by their π_θ.

    π_t(i) = (F(r_i)^n − F(r_i−)^n) · π_θ(i)/π_θ(r = r_i) with F the reward's distribution function over the set. With
    π_θ uniform over N drawn answers it is the empirical best-of-n distribution. Every candidate keeps some
    probability. n = 1 is π_θ.
    """

    n: int = 4
    """Draws that the best is taken of, at least 1."""

    def __post_init__(self) -> None:
        at_least(1, n=self.n)

    def law(self, policy_logprobs: Tensor, rewards: Tensor) -> Tensor:
        """See `CandidateLaw.law`."""
        mine, others = rewards.unsqueeze(-1), rewards.unsqueeze(-2)  # compared as [..., i, j]
        mass = policy_logprobs.exp().unsqueeze(-2)
        tied = torch.where(others == mine, mass, 0.0).sum(-1)
        below = torch.where(others < mine, mass, 0.0).sum(-1)
        # F^n − F₋^n = F^n · (1 − (F₋/F)^n), with F₋/F = 1/(1 + tied/below): nothing cancels where ties are rare. At the
        # lowest reward below is 0, log_ratio −inf and the last factor 1.
        log_ratio = -torch.log1p(tied / below)
        log_gain = self.n * (below + tied).log() + torch.log(-torch.expm1(self.n * log_ratio))
        log_law = log_gain + policy_logprobs - tied.log()
        return log_law.masked_fill(policy_logprobs == -torch.inf, -torch.inf).log_softmax(-1)


@dataclass(frozen=True)
class HighRewardConditional(CandidateLaw):
    """π_θ given that the reward is at least a quantile of π_θ's rewards, or at least a fixed threshold."""

    quantile: float | None = None
    """In [0, 1]: keep rewards r ≥ inf{s: F(s) ≥ quantile}, F under π_θ over the set; 0 keeps all, 1 the best."""
    threshold: float | None = None
    """Keep rewards r ≥ threshold; where no candidate has one, the best are kept."""

    def __post_init__(self) -> None:
        if (self.quantile is None) == (self.threshold is None):
            raise UserError(
                f"quantile or threshold must be given, and not both, got {self.quantile} and {self.threshold}"
            )
        within("[0, 1]", quantile=self.quantile)

    def law(self, policy_logprobs: Tensor, rewards: Tensor) -> Tensor:
        """See `CandidateLaw.law`."""
        counts_mask = policy_logprobs > -torch.inf
        best = rewards.masked_fill(~counts_mask, -torch.inf).amax(-1, keepdim=True)
        bound = self._quantile(policy_logprobs, rewards, best) if self.threshold is None else self.threshold
        # At most the best: a threshold that no candidate reaches must not leave the set empty.
        kept_mask = counts_mask & (rewards >= torch.minimum(torch.as_tensor(bound).to(best), best))
        return policy_logprobs.masked_fill(~kept_mask, -torch.inf).log_softmax(-1)

    def _quantile(self, policy_logprobs: Tensor, rewards: Tensor, best: Tensor) -> Tensor:
        at_most = rewards.unsqueeze(-2) <= rewards.unsqueeze(-1)
        distribution = torch.where(at_most, policy_logprobs.exp().unsqueeze(-2), 0.0).sum(-1)
        # A sum of N equal shares is off by a few units in the last place; a whole share is far more.
        reached = distribution >= (self.quantile or 0.0) - 8 * torch.finfo(rewards.dtype).eps
        reached &= policy_logprobs > -torch.inf
        return torch.where(reached, rewards, best).amin(-1, keepdim=True)
