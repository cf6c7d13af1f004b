"""Entropy, and the exponent that follows from two entropies."""

import torch
from torch import Tensor


def entropy(logprobs: Tensor) -> Tensor:
    """Return H = −Σ p log p [...] in nats of log-probabilities [..., V]; a token of probability 0 (-inf) adds 0."""
    if logprobs.dtype in (torch.float16, torch.bfloat16):
        logprobs = logprobs.float()
    # 0 · (-inf) is NaN, 0 · (lowest finite number) is 0.
    return -(logprobs.exp() * logprobs.clamp_min(torch.finfo(logprobs.dtype).min)).sum(-1)


def entropy_alpha(policy_logprobs: Tensor, target_logprobs: Tensor) -> Tensor:
    """Return α = H(π_θ) / (H(π_θ) + H(π_t)) [...]; 0.5 where both are deterministic.

    A closed-form stand-in for KL symmetry: it trusts the policy in proportion to its uncertainty, but does not look at
    where the two distributions put their mass.
    """
    policy_entropy, target_entropy = entropy(policy_logprobs), entropy(target_logprobs)
    total = policy_entropy + target_entropy
    return torch.where(total > 0, (policy_entropy / total).clamp(0, 1), 0.5)
