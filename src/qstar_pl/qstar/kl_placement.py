"""Where the price of D(π_θ‖π_init) enters training, which decides what the gradient of its estimator is.

Answers are drawn from q and weighted by w = π_θ/q; r = log π_θ/π_init. In every place the gradient of the price is
E_q[w c(r) ∇ log π_θ(y)], and the places differ in c:

- in the reward (`InReward`), which is a constant of the loss, c = k(r);
- in the loss with constant weights (`InLoss`), c = k′(r);
- in the loss with weights that are differentiated as well (`InLoss(differentiate_weights=True)`), c = k(r) + k′(r).

The divergence's own gradient has c = r (or r + 1, since E[∇ log π_θ] = 0). The table gives the share of it that is in
the expected gradient, and in brackets the error (the length of the difference over that of the true gradient), for a
pair of small models that can be enumerated, with D(π_θ‖π_init) = 0.03 nats and raw weights of whole answers under any q
(tested in tests/invariant/test_kl_pull.py):

| place | K1 | K2 | K3 |
|---|---|---|---|
| in the reward, of tokens | 1.00 (0.00) | 0.15 (0.85) | 0.13 (0.87) |
| in the loss, of whole answers | refused: 0 | 1.00 (0.00) | 0.91 (0.10) |
| the same, weights differentiated | 1.00 (0.00) | refused | 1.00 (0.00) |
| in the loss, of tokens | refused: 0 | 1.02 (0.02) | 0.87 (0.14) |
| the same, weights differentiated | 1.02 (0.02) | refused | 1.02 (0.02) |

K2 and K3 in the reward hardly regularize: both are of second order in r, so their share falls with the divergence
itself (0.04 at D = 0.003). K3 in the loss with constant weights, which is what GRPO has (of tokens), is the gradient
of another divergence, D(π_init‖π_θ). The divergence of tokens leaves out that a token decides which contexts follow.
Equal coefficients are equal prices only where the shares are equal: compare estimators there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from qstar_pl.qstar.kl_estimators import KLEstimator
from qstar_pl.qstar.masking import masked_sum


@dataclass(frozen=True)
class KLPlacement(ABC):
    """The place of the price."""

    in_loss: ClassVar[bool] = False
    """Whether the loss has a term of its own for the price."""

    def check(self, estimator: KLEstimator) -> None:  # noqa: B027 (in the reward each has a meaning)
        """Raise a UserError if the estimator has no divergence's gradient in this place."""

    @abstractmethod
    def token_prices(self, estimator: KLEstimator, log_ratio: Tensor) -> Tensor:
        """Return what each token's reward is lowered by, in nats, given its log π_θ/π_init; both [rows, time]."""

    @abstractmethod
    def loss(
        self, estimator: KLEstimator, logprobs: Tensor, reference_logprobs: Tensor, weights: Tensor, mask: Tensor
    ) -> Tensor:
        """Return a term [rows], nats per answer: its value estimates the divergence, its gradient is w c ∇ log π_θ.

        Args:
            estimator: k.
            logprobs: [rows, time] log π_θ(y_t), with gradient.
            reference_logprobs: [rows, time] log π_init(y_t).
            weights: [rows, time] treated π_θ/q.
            mask: [rows, time] bool.

        """


@dataclass(frozen=True)
class InReward(KLPlacement):
    """Each token's reward is lowered by k(r_t), and goes through advantage, baseline and whitening as rewards do.

    Exact with K1. With an advantage that is normalized or whitened, a nat has no fixed price in units of reward.
    """

    def token_prices(self, estimator: KLEstimator, log_ratio: Tensor) -> Tensor:
        """See `KLPlacement.token_prices`."""
        return estimator(log_ratio)

    def loss(
        self, estimator: KLEstimator, logprobs: Tensor, reference_logprobs: Tensor, weights: Tensor, mask: Tensor
    ) -> Tensor:
        """See `KLPlacement.loss`: there is none."""
        return logprobs.new_zeros(len(logprobs))


@dataclass(frozen=True)
class InLoss(KLPlacement):
    """The loss has a term w k(r) beside that of the advantages: no baseline is subtracted, and nothing normalizes it.

    Exact for whole answers with K2, or with K1 or K3 and differentiated weights, under any q with raw weights; with
    clipped weights it shares their bias. The advantage's baseline keeps the noise of K1 in the reward lower.
    """

    in_loss: ClassVar[bool] = True

    level: Literal["sequence", "token"] = "sequence"
    """sequence: r = Σ_t r_t of the whole answer. token: Σ_t k(r_t), as GRPO has it: the divergence of next tokens
    where the contexts stay as they are, which leaves out that a token also decides what comes after it."""
    differentiate_weights: bool = False
    """Let the gradient flow through w = π_θ/q as well."""

    def check(self, estimator: KLEstimator) -> None:
        """See `KLPlacement.check`."""
        estimator.check_in_loss(self.differentiate_weights)

    def token_prices(self, estimator: KLEstimator, log_ratio: Tensor) -> Tensor:
        """See `KLPlacement.token_prices`: the reward stays as it is."""
        return torch.zeros_like(log_ratio)

    def loss(
        self, estimator: KLEstimator, logprobs: Tensor, reference_logprobs: Tensor, weights: Tensor, mask: Tensor
    ) -> Tensor:
        """See `KLPlacement.loss`."""
        # Selected first: `estimator` must not see what stands where the mask is False.
        log_ratio = torch.where(mask, logprobs.detach() - reference_logprobs, 0.0)
        estimates = estimator(log_ratio)
        if self.level == "sequence":
            log_ratio = log_ratio.sum(-1, keepdim=True)
            # One estimate per answer, spread evenly over its tokens, since each token has its own weight.
            estimates = estimator(log_ratio) / mask.sum(-1, keepdim=True).clamp_min(1)
        pull = estimator.slope(log_ratio)
        if self.differentiate_weights:
            pull = pull + estimator(log_ratio)  # ∇w = w ∇ log π_θ
        surrogate = masked_sum((weights * pull).detach() * logprobs, mask, dim=-1)
        # The value of the estimates with the gradient of the surrogate, whose own value cancels.
        return masked_sum(weights * estimates, mask, dim=-1).detach() + surrogate - surrogate.detach()
