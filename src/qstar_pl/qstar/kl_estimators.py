"""Estimators of D(p‖q) from samples of p (Schulman 2020, "Approximating KL divergence").

With r = log p(y) − log q(y) for y ~ p:

- k1 = r: unbiased, of either sign;
- k2 = r²/2: biased, of low variance;
- k3 = exp(−r) − 1 + r: unbiased and never negative.

How good an estimator is as a price of divergence is another question: that depends on whether it enters the reward or
the loss, see `qstar_pl.qstar.kl_placement`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.errors import UserError


@dataclass(frozen=True)
class KLEstimator(ABC):
    """A function of log-ratios [...] of sampled tokens or answers whose mean estimates the divergence, in nats."""

    @abstractmethod
    def __call__(self, log_ratio: Tensor) -> Tensor:
        """Return the estimate of each sample; `log_ratio` is log p − log q at samples drawn from p."""

    @abstractmethod
    def slope(self, log_ratio: Tensor) -> Tensor:
        """Return the derivative of the estimate with respect to the log-ratio."""

    def check_in_loss(self, differentiate_weights: bool) -> None:  # noqa: B027 (K3 has a gradient either way)
        """Raise a UserError if the estimator's gradient in a loss is no divergence's; see `InLoss`."""


@dataclass(frozen=True)
class K1(KLEstimator):
    """r."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return log_ratio

    def slope(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.slope`."""
        return torch.ones_like(log_ratio)

    def check_in_loss(self, differentiate_weights: bool) -> None:
        """See `KLEstimator.check_in_loss`: E[∇ log π_θ] = 0."""
        if not differentiate_weights:
            raise UserError(
                "kl_estimator must be K2 or K3 for InLoss with constant weights, where K1 has the expected gradient 0, "
                "got K1; or set kl_placement.differentiate_weights"
            )


@dataclass(frozen=True)
class K2(KLEstimator):
    """r²/2."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return log_ratio.square() / 2

    def slope(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.slope`."""
        return log_ratio

    def check_in_loss(self, differentiate_weights: bool) -> None:
        """See `KLEstimator.check_in_loss`: neither K2's mean nor its full gradient is the divergence's."""
        if differentiate_weights:
            raise UserError(
                "kl_estimator must be K1 or K3 for InLoss with differentiate_weights, got K2, whose gradient is the "
                "divergence's with constant weights"
            )


@dataclass(frozen=True)
class K3(KLEstimator):
    """exp(−r) − 1 + r, through expm1 so that small ratios keep their digits."""

    def __call__(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.__call__`."""
        return torch.expm1(-log_ratio) + log_ratio

    def slope(self, log_ratio: Tensor) -> Tensor:
        """See `KLEstimator.slope`."""
        return -torch.expm1(-log_ratio)
