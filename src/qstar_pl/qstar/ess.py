"""Effective sample size of importance sampling one distribution through another, exact over the vocabulary."""

import torch
from torch import Tensor

from qstar_pl.qstar.checks import at_least_float32, check_logprobs
from qstar_pl.qstar.logsumexp import logsumexp


def log_ess(target_logprobs: Tensor, proposal_logprobs: Tensor) -> Tensor:
    """Return log ESS = −log Σ p²/q per sample, p the target and q the proposal; see `ess`."""
    check_logprobs(target_logprobs=target_logprobs, proposal_logprobs=proposal_logprobs)
    target_logprobs = at_least_float32(target_logprobs)
    # Where p = 0 the term is 0 whatever q is; -inf + inf would be NaN.
    terms = (2 * target_logprobs - proposal_logprobs).masked_fill(target_logprobs == -torch.inf, -torch.inf)
    return -logsumexp(terms)


def ess(target_logprobs: Tensor, proposal_logprobs: Tensor) -> Tensor:
    """Return ESS_p(q) = 1/Σ_y p(y)²/q(y), the effective sample size per sample of weights p/q under q.

    Args:
        target_logprobs: [..., V] log p, normalized; -inf means probability 0.
        proposal_logprobs: [..., V] log q, the distribution that is sampled.

    Returns:
        [...] in [0, 1] up to rounding: 1 if q = p, 0 if p has a token that q cannot produce (the weights then miss
        mass whatever their number). 1/ESS − 1 is the variance of the weights (Kong 1992). For a mixture q_α,
        log ESS_θ = −Λ(α) − Λ(2−α) and log ESS_t = −Λ(α) − Λ(−α).

    Raises:
        UserError: a row is not normalized, or holds NaN.

    """
    return log_ess(target_logprobs, proposal_logprobs).exp()
