"""Negative log-likelihood of demonstrations."""

from torch import Tensor

from qstar_pl.qstar.masking import masked_sum


def likelihood_loss(logprobs: Tensor, mask: Tensor) -> Tensor:
    """Return −Σ_t log π(y_t) [rows], in nats per answer.

    Per answer and not per token: a mean over answers does not depend on how the batch was split into micro-batches.
    """
    return -masked_sum(logprobs, mask, dim=-1)
