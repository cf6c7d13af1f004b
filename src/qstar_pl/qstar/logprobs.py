"""Log-probabilities of given tokens."""

import torch
from torch import Tensor

from qstar_pl.qstar.masking import masked_sum


def token_logprobs(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Return log softmax(logits) at the given tokens, in nats.

    Args:
        logits: [..., vocab]; normalized in float32 at least, since bfloat16 has only two decimal digits.
        token_ids: [...] int64.

    Returns:
        [...]. The [..., vocab] log-softmax is never formed: a gather and a log-sum-exp give the same number.

    """
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return logits.gather(-1, token_ids.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def sequence_logprobs(logprobs: Tensor, mask: Tensor) -> Tensor:
    """Return log π(y|x) = Σ_t log π(y_t|x, y_<t) [rows] from token log-probabilities [rows, time]."""
    return masked_sum(logprobs, mask, dim=-1)
