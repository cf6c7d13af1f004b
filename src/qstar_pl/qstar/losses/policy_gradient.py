"""The score-function surrogate of E_πθ[A] for samples drawn from q."""

from torch import Tensor

from qstar_pl.qstar.masking import masked_sum


def policy_gradient_loss(logprobs: Tensor, weights: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """Return −Σ_t w_t A_t log π_θ(y_t) [rows]; its gradient is the negative policy gradient.

        ∇ E_πθ[A] = E_q[π_θ(y)/q(y) · A(y) ∇ log π_θ(y)]

    Exact for sequence-level raw weights and full support of q. The value is not an objective; only the gradient is.

    Args:
        logprobs: [rows, time] log π_θ(y_t) with gradient, nats.
        weights: [rows, time] treated π_θ/q; taken as constant.
        advantages: [rows, time]; taken as constant.
        mask: [rows, time] bool.

    """
    return -masked_sum((weights * advantages).detach() * logprobs, mask, dim=-1)
