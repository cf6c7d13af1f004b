"""What tokens are drawn from, given what the models say: the part of a sampler that the decode engine calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.qstar import AlphaStrategy

POLICY, TARGET = "policy", "target"


class Mixed(NamedTuple):
    """q at n token positions, before truncation."""

    logprobs: Tensor
    """[n, vocab]."""
    alpha: Tensor
    """[n]: exponent of π_θ."""
    log_z: Tensor
    """[n]."""


class Law(ABC):
    """q as a function of next-token log-probabilities."""

    @property
    @abstractmethod
    def roles(self) -> tuple[str, ...]:
        """The models it needs at every token: "policy", "target" or both."""

    @abstractmethod
    def __call__(self, logprobs: Mapping[str, Tensor]) -> Mixed:
        """Return q from the log-probabilities [n, vocab] of each role, as log_softmax made them."""


@dataclass(frozen=True)
class Alone(Law):
    """q is one of the models; the other is not run while decoding."""

    role: str

    @property
    def roles(self) -> tuple[str, ...]:
        """See `Law.roles`."""
        return (self.role,)

    def __call__(self, logprobs: Mapping[str, Tensor]) -> Mixed:
        """See `Law.__call__`."""
        own = logprobs[self.role]
        alpha = own.new_full(own.shape[:-1], 1.0 if self.role == POLICY else 0.0)
        # π_θ^1 π_t^0 or π_θ^0 π_t^1, each normalized already: log Z = 0.
        return Mixed(own, alpha, torch.zeros_like(alpha))


@dataclass(frozen=True)
class Geometric(Law):
    """q = π_θ^α π_t^(1−α)/Z with α from a strategy, token by token."""

    alpha: AlphaStrategy

    @property
    def roles(self) -> tuple[str, ...]:
        """See `Law.roles`."""
        return (POLICY, TARGET)

    def __call__(self, logprobs: Mapping[str, Tensor]) -> Mixed:
        """See `Law.__call__`."""
        # `normalised`: log_softmax made them, so the strategy need not check.
        alpha, mixture = self.alpha.mix(logprobs[POLICY], logprobs[TARGET], normalised=True)
        return Mixed(mixture.logprobs, alpha, mixture.log_z)
