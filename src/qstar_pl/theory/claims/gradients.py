"""Expectation and variance of policy gradients whose answers come from another law."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.theory.chain import ANSWERS, STEPS, Chain, mix_tokens, spread
from qstar_pl.theory.claim import Claim, Finding, Verdict, zero
from qstar_pl.theory.pairs import Pairs, pairs_at


def least_variance() -> Claim:
    """Whether sampling from q* gives gradients of less variance."""
    pairs = pairs_at(1.0, pairs=400, tokens=20)
    rewards = torch.randn(400, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    tilted = Pairs(pairs.policy, (pairs.policy + rewards).log_softmax(-1))
    unrelated = _variance_ratio(pairs, rewards)
    helpful = _variance_ratio(tilted, rewards)
    best = _variance_ratio(tilted, rewards, optimal=True)
    return Claim(
        "least-variance",
        "Drawn from q*, gradients have less variance than drawn from π_θ.",
        Verdict.FALSE,
        "The least variance has q ∝ π_θ |A| ‖∇ log π_θ‖, in which neither KL symmetry nor π_t as such stands. Whether "
        "q* is better than π_θ depends on whether π_t is large where reward and score are.",
        (
            Finding("q* worse than π_θ, share of pairs, π_t without relation to the reward", _share(unrelated), 0.5, 1),
            Finding("median variance ÷ that of π_θ", float(unrelated.median()), low=1.0),
            Finding("q* worse than π_θ, share of pairs, π_t ∝ π_θ e^r", _share(helpful), 0.5, 0.9),
            Finding("median variance ÷ that of π_θ", float(helpful.median()), low=1.0),
            Finding("the best law's, median", float(best.median()), high=0.8),
            Finding("most of the best law ÷ q*", float((best / helpful).max()), high=1.0),
        ),
    )


def support() -> Claim:
    """Weights repair nothing that cannot be drawn."""
    pairs = pairs_at(1.0, pairs=400, tokens=50)
    kept = torch.zeros_like(pairs.target).scatter_(-1, pairs.target.topk(10, -1).indices, 1.0).bool()
    cut = pairs.mixture(0.5).masked_fill(~kept, -torch.inf).log_softmax(-1)
    mean_weight = torch.where(kept, (pairs.policy - cut).exp() * cut.exp(), 0.0).sum(-1)
    covered = torch.where(kept, pairs.policy.exp(), 0.0).sum(-1)
    return Claim(
        "support",
        "Importance weights π_θ/q make any sampling law unbiased.",
        Verdict.CONDITIONAL,
        "Only where q > 0 wherever π_θ > 0. Under top-k the mean weight is the mass of π_θ that q covers, and what "
        "lies outside is never seen: ESS_θ is 0 by definition, whatever the drawn weights say.",
        (
            Finding("mean of E_q[π_θ/q] under the 10 likeliest of 50 tokens", float(mean_weight.mean()), 0.8, 0.98),
            zero("largest difference from the covered mass of π_θ", float((mean_weight - covered).abs().max())),
        ),
    )


def weight_levels() -> Claim:
    """What each level of weights does to the expected gradient."""
    bias = _level_biases()
    return Claim(
        "weight-levels",
        "A weight per token corrects for another sampling law.",
        Verdict.FALSE,
        "Only the weight of the whole answer does, for a reward of the whole answer. Token weights leave out that the "
        "prefix, and what follows, came from another law; they are less noisy, and learn well in practice.",
        (
            zero("relative bias of the gradient: weight of the whole answer", bias["sequence"]),
            Finding("weight of the prefix up to the token", bias["prefix"], low=0.05),
            Finding("weight of the token", bias["token"], low=0.1),
            Finding("no weight", bias["none"], low=0.1),
        ),
    )


def divergence_as_reward() -> Claim:
    """Which estimator of the KL may stand in the reward."""
    near = pairs_at(0.05, pairs=200, tokens=50)
    policy = near.policy.clone().requires_grad_()
    ratio = policy.log_softmax(-1) - near.target
    (true,) = torch.autograd.grad((ratio.exp() * near.target.exp() * ratio).sum(), policy)
    back = (-near.log_ratio).exp()
    rewards = {"K1": near.log_ratio, "K2": near.log_ratio.square() / 2, "K3": back - 1 + near.log_ratio}
    found = {name: _reward_gradient(near.policy, value) for name, value in rewards.items()}
    relative = {name: float((value - true).norm() / true.norm()) for name, value in found.items()}
    length = {name: float(value.norm() / true.norm()) for name, value in found.items()}
    return Claim(
        "divergence-as-reward",
        "Any unbiased estimator of D(π_θ‖π_init) may be subtracted from the reward.",
        Verdict.FALSE,
        "What matters is the gradient of E_π[k] with k held fixed. That of K1 is the divergence's; those of K2 and K3 "
        "are of second order, and vanish next to it where the two are near.",
        (
            zero("relative error of the gradient of K1 in the reward", relative["K1"]),
            Finding("length of the gradient of K2 ÷ the divergence's, s.d. 0.05", length["K2"], high=0.1),
            Finding("length of the gradient of K3 ÷ the divergence's", length["K3"], high=0.1),
        ),
    )


def _share(ratio: Tensor) -> float:
    return float((ratio > 1).double().mean())


def _variance_ratio(pairs: Pairs, rewards: Tensor, *, optimal: bool = False) -> Tensor:
    """Return tr Cov of one draw's gradient under q* (or the best law) over that under π_θ [pairs].

    The gradient is π_θ/q · A · ∇ log π_θ in the logits, A = r − E_πθ[r]; ‖∇ log π_θ(y)‖² = 1 − 2π_θ(y) + Σ π_θ².
    """
    policy = pairs.policy.exp()
    advantage = rewards - (policy * rewards).sum(-1, keepdim=True)
    score = 1 - 2 * policy + policy.square().sum(-1, keepdim=True)
    moment = policy.square() * advantage.square() * score  # Σ moment/q is the second moment
    law = moment.sqrt().log().log_softmax(-1) if optimal else pairs.mixture(pairs.alpha())
    mean = policy * advantage  # the gradient: Σ_y π A (e_y − π) = π A, since Σ π A = 0
    square = mean.square().sum(-1)
    return ((moment / law.exp()).sum(-1) - square) / ((moment / policy).sum(-1) - square)


def _reward_gradient(policy: Tensor, reward: Tensor) -> Tensor:
    """Return Σ_y π(y) k(y) ∇ log π(y) in the logits, k held fixed."""
    probability = policy.exp()
    return probability * (reward - (probability * reward).sum(-1, keepdim=True))


def _level_biases() -> dict[str, float]:
    """Return ‖E[g] − ∇J‖/‖∇J‖ per level of the weights, answers drawn from the KL-halfway token mixture."""
    policy, target = Chain.random(0, 1.0), Chain.random(1, 1.0)
    rewards = torch.randn(ANSWERS, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    behavior = mix_tokens(policy, target, 0.5).chain.of_tokens()
    law = behavior.sum(-1, keepdim=True).exp()
    logits = [step.clone().requires_grad_() for step in policy.steps]
    logprobs = torch.stack([spread(step.log_softmax(-1).flatten()) for step in logits], -1)
    ratio = (logprobs - behavior).detach()
    weights = {
        "sequence": ratio.sum(-1, keepdim=True).exp().expand(-1, STEPS),
        "prefix": ratio.cumsum(-1).exp(),
        "token": ratio.exp(),
        "none": torch.ones_like(ratio),
    }

    def gradient(objective: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(objective, logits, retain_graph=True)])

    true = gradient((logprobs.sum(-1, keepdim=True).exp() * rewards).sum())
    return {
        name: float((gradient((law * weight * rewards * logprobs).sum()) - true).norm() / true.norm())
        for name, weight in weights.items()
    }
