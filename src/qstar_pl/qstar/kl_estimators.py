"""Estimators of D(p‖q) from samples of p, token by token (Schulman 2020, "Approximating KL divergence").

With r = log p(y) − log q(y) for y ~ p:

- k1 = r: unbiased, of either sign;
- k2 = r²/2: biased, of low variance; its gradient is that of D(p‖q) when it is differentiated on-policy;
- k3 = exp(−r) − 1 + r: unbiased and never negative; differentiated on-policy its gradient is that of D(q‖p).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KLEstimator(ABC):
    """A function of log-ratios [...] of sampled tokens whose mean estimates the divergence, in nats."""

    @abstractmethod
    def __call__(self, log_ratio: Tensor) -> Tensor:
        """Return the estimate of each token; `log_ratio` is log p − log q at tokens drawn from p."""


@dataclass(frozen=True)
class K1(KLEstimator):
    """r."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return log_ratio


@dataclass(frozen=True)
class K2(KLEstimator):
    """r²/2."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return log_ratio.square() / 2


@dataclass(frozen=True)
class K3(KLEstimator):
    """exp(−r) − 1 + r, through expm1 so that small ratios keep their digits."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return torch.expm1(-log_ratio) + log_ratio
