"""Distributions over a finite set of answers to one prompt, and the mixture of two of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.qstar.alpha import AlphaStrategy
from qstar_pl.qstar.ess import ess
from qstar_pl.qstar.kl import kl_divergence
from qstar_pl.qstar.tensors import require_tensors


@dataclass(frozen=True)
class CandidateMixture:
    """q_α over the candidates, with what it was made of; every [..., N] is normalized, −inf means probability 0."""

    policy_logprobs: Tensor
    """[..., N] log π_θ over the set."""
    target_logprobs: Tensor
    """[..., N] log π_t over the set."""
    logprobs: Tensor
    """[..., N] log q over the set."""
    alpha: Tensor
    """[...] exponent of π_θ."""
    log_z: Tensor
    """[...] log Z_α, nats."""

    @property
    def log_weights(self) -> Tensor:
        """[..., N] log π_θ/q over the set, nats; 0 at candidates that q does not draw."""
        return torch.where(self.logprobs > -torch.inf, self.policy_logprobs - self.logprobs, 0.0)

    @property
    def ess_policy(self) -> Tensor:
        """[...] 1/Σ π_θ²/q over the set, in [0, 1]; see `ess`."""
        return ess(self.policy_logprobs, self.logprobs)

    @property
    def ess_target(self) -> Tensor:
        """[...] 1/Σ π_t²/q over the set, in [0, 1]."""
        return ess(self.target_logprobs, self.logprobs)

    @property
    def kl_policy(self) -> Tensor:
        """[...] D(q‖π_θ) over the set, nats."""
        return kl_divergence(self.logprobs, self.policy_logprobs)

    @property
    def kl_target(self) -> Tensor:
        """[...] D(q‖π_t) over the set, nats."""
        return kl_divergence(self.logprobs, self.target_logprobs)


def normalise_candidates(
    sequence_logprobs: Tensor, proposal_logprobs: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Return a distribution over the set [..., N] from log π(y_i|x) of its answers.

    Without a proposal: π restricted to the set. The answers must then differ (see `first_copies` for a mask).

    With one: self-normalized importance weights π/p of answers drawn from p, copies included. Σ_i π̄(i) f(y_i) then
    estimates E_π[f], and since the exponents of a geometric mixture sum to 1, p enters it to the first power: the
    mixture of two such distributions is the self-normalized estimate of the *sequence-level* mixture, its log Z that
    of the sequence-level log Z, with bias O(1/N). Under p = π_θ, π̄_θ is uniform.

    Args:
        sequence_logprobs: [..., N] log π(y_i|x) in nats.
        proposal_logprobs: [..., N] log p(y_i|x), the law that the answers were drawn from.
        mask: [..., N] bool, which candidates count; None: all. Those that do not get −inf.

    """
    require_tensors(sequence_logprobs=sequence_logprobs)
    if proposal_logprobs is not None:
        require_tensors(proposal_logprobs=proposal_logprobs)
    logits = sequence_logprobs if proposal_logprobs is None else sequence_logprobs - proposal_logprobs
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return logits.log_softmax(-1)


def mix_candidates(policy_logprobs: Tensor, target_logprobs: Tensor, alpha: AlphaStrategy) -> CandidateMixture:
    """Return q_α over the set [..., N], α from the same strategies as for next tokens.

    Args:
        policy_logprobs: [..., N] log π_θ over the set, normalized.
        target_logprobs: [..., N] log π_t over the set, normalized.
        alpha: chooses the exponent of each set. KL symmetry has no root where π_t is π_θ restricted to some of the
            candidates: D(q‖π_t) is 0 for every α < 1, and q becomes π_θ.

    """
    require_tensors(policy_logprobs=policy_logprobs, target_logprobs=target_logprobs)
    exponent, mixture = alpha.mix(policy_logprobs, target_logprobs)
    return CandidateMixture(policy_logprobs, target_logprobs, mixture.logprobs, exponent, mixture.log_z)


def first_copies(ids: Tensor, mask: Tensor) -> Tensor:
    """Return [..., N] bool: True for the first of each set of equal answers `ids` [..., N, time] under `mask`."""
    # [..., i, j, time]: answers i and j are equal if their masks are, and their tokens wherever the mask is True.
    same_tokens = (ids.unsqueeze(-2) == ids.unsqueeze(-3)) | ~mask.unsqueeze(-2)
    same_mask = mask.unsqueeze(-2) == mask.unsqueeze(-3)
    equal = (same_tokens & same_mask).all(-1)
    return ~equal.tril(-1).any(-1)  # below the diagonal: j comes before i


def uncovered_by_candidates(sequence_logprobs: Tensor, first_copy_mask: Tensor) -> Tensor:
    """Return 1 − Σ π(y_i|x) over distinct candidates [...]: the mass of answers that are not in the set."""
    covered = torch.where(first_copy_mask, sequence_logprobs.exp(), 0.0).sum(-1)
    return (1 - covered).clamp_min(0.0)  # rounding may leave the sum above 1
