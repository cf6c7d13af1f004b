"""Entropy, and the exponent that follows from two entropies."""

import torch
from torch import Tensor

from qstar_pl.qstar.checks import at_least_float32, check_logprobs
from qstar_pl.qstar.tensors import require_tensors


def entropy(logprobs: Tensor) -> Tensor:
    """Return H = −Σ p log p [...] in nats of log-probabilities [..., V]; a token of probability 0 (-inf) adds 0.

    Exact to rounding also where one token has nearly all probability. Differentiable. A row that is not normalized is
    a UserError.
    """
    check_logprobs(logprobs=logprobs)
    return _entropy(at_least_float32(logprobs))


def _entropy(logprobs: Tensor) -> Tensor:
    # 0 · (-inf) is NaN, 0 · (lowest finite number) is 0.
    probs, finite = logprobs.exp(), logprobs.clamp_min(torch.finfo(logprobs.dtype).min)
    # The correction is detached: rounding has no gradient.
    return -(probs * finite).sum(-1) + _rounding_at_mode(probs.detach(), logprobs.detach())


def _rounding_at_mode(probs: Tensor, logprobs: Tensor) -> Tensor:
    """Return what H lacks because the mode's log-probability is rounded, where the mode has nearly all probability.

    log_softmax rounds it to a multiple of eps; from the other tokens, which are exact, it is log(1 − their sum).
    """
    mode, index = probs.max(-1, keepdim=True)
    others = probs.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    exact = torch.log1p(-others)
    change = torch.where((mode > 0.9) & exact.isfinite(), mode * (logprobs.gather(-1, index) - exact), 0.0)
    return change.squeeze(-1)


def entropy_alpha(policy_logprobs: Tensor, target_logprobs: Tensor, *, normalised: bool = False) -> Tensor:
    """Return α = H(π_θ) / (H(π_θ) + H(π_t)) [...]; 0.5 where both are deterministic.

    A closed-form stand-in for KL symmetry: it trusts the policy in proportion to its uncertainty, but does not look at
    where the two distributions put their mass. Rows that are not normalized are a UserError; `normalised` skips the
    check for rows that come straight from log_softmax.
    """
    require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    if not normalised:
        check_logprobs(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    policy_entropy = _entropy(at_least_float32(policy_logprobs))
    target_entropy = _entropy(at_least_float32(target_logprobs))
    total = policy_entropy + target_entropy
    return torch.where(total > 0, (policy_entropy / total).clamp(0, 1), 0.5)
