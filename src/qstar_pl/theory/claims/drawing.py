"""Ways to draw from a law with the help of others, and to check that it was drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qstar_pl.theory.claim import Claim, Finding, Verdict, zero
from qstar_pl.theory.pairs import pairs_at


def speculative() -> Claim:
    """Draft and verify."""
    pairs = pairs_at(1.5)
    draft, law = pairs.policy.exp(), pairs.mixture(pairs.alpha()).exp()
    kept = torch.minimum(draft, law)
    acceptance = kept.sum(-1, keepdim=True)
    residual = (law - draft).clamp_min(0)
    residual = residual / residual.sum(-1, keepdim=True)
    distance = (draft - law).abs().sum(-1) / 2
    exact = kept + (1 - acceptance) * residual
    wrong = kept + (1 - acceptance) * law
    candidates = kept * (1 - (1 - acceptance) ** 4) / acceptance + (1 - acceptance) ** 4 * law
    return Claim(
        "speculative",
        "A drafted token kept with probability min(1, q/p), else drawn from (q − p)₊, is a draw from q.",
        Verdict.TRUE,
        "min(p, q) + (1 − Σ min(p, q)) (q − p)₊/Σ(q − p)₊ = q; the share kept is 1 − TV(p, q). Falling back to q "
        "itself, or trying several candidates for one position, gives another law.",
        (
            zero("largest error of the law, 400 pairs", float((exact - law).abs().max())),
            zero("largest |share kept − (1 − TV)|", float((acceptance.squeeze(-1) + distance - 1).abs().max())),
            Finding("mean total variation if q itself is the residual", _distance(wrong, law), low=0.01),
            Finding("the same with four candidates, then q", _distance(candidates, law), low=0.01),
        ),
    )


def balance_heuristic() -> Claim:
    """Weights of answers from several laws."""
    pairs = pairs_at(1.5)
    policy, share = pairs.policy.exp(), 0.25
    pool = share * policy + (1 - share) * pairs.target.exp()
    weight = policy / pool
    return Claim(
        "balance-heuristic",
        "With n_k answers from q_k, w = π_θ/Σ_k c_k q_k with c_k = n_k/n has mean 1, and at most 1/c_θ with π_θ in it.",
        Verdict.TRUE,
        "The pooled answers are draws from the mixture Σ c_k q_k in expectation (Veach and Guibas 1995); its density "
        "is at least c_θ π_θ.",
        (
            zero(
                "largest |E[w] − 1|, a quarter of the answers from π_θ",
                float(((pool * weight).sum(-1) - 1).abs().max()),
            ),
            Finding("largest weight", float(weight.max()), high=1 / share),
            Finding("largest weight without any from π_θ", float((pairs.log_ratio).exp().max()), low=1 / share),
        ),
    )


def interleaved() -> Claim:
    """The policy's token if the target has it among its first K."""
    pairs = pairs_at(1.5)
    kept = torch.zeros_like(pairs.target).scatter_(-1, pairs.target.topk(10, -1).indices, 1.0).bool()
    policy, target = pairs.policy.exp(), pairs.target.exp()
    inside = torch.where(kept, policy, 0.0)
    law = inside + (1 - inside.sum(-1, keepdim=True)) * target
    generator = torch.Generator().manual_seed(0)
    draws = 200_000
    proposed, fallback = (torch.multinomial(p[0], draws, True, generator=generator) for p in (policy, target))
    drawn = torch.where(kept[0][proposed], proposed, fallback)
    counts = torch.bincount(drawn, minlength=law.shape[-1])
    expected = draws * law[0]
    usual_mask = expected >= 5
    statistic = ((counts - expected).square() / expected)[usual_mask].sum()
    return Claim(
        "interleaved",
        "Taking the policy's token where it is among the target's first K, else the target's, has an exact law.",
        Verdict.TRUE,
        "q(y) = π_θ(y)1[y ∈ K] + (1 − π_θ(K)) π_t(y), which is normalized; so it can be weighted like any other.",
        (
            zero("largest |Σ q − 1|, K = 10", float((law.sum(-1) - 1).abs().max())),
            Finding("χ² of 200,000 draws ÷ its degrees of freedom", float(statistic / usual_mask.sum()), 0.4, 1.7),
        ),
    )


def audit() -> Claim:
    """A running check of a claimed law."""
    pairs = pairs_at(1.0, pairs=1, tokens=50)
    claimed, other = pairs.policy[0], pairs.target[0]
    half = torch.logaddexp(claimed, other) - math.log(2)
    delta = 0.05
    true, false = (_alarms(law, half - claimed, delta) for law in (claimed, other))
    return Claim(
        "audit",
        "∏ p(y_i)/q(y_i) shows a false log q, and accuses a true one with probability ≤ δ however often one looks.",
        Verdict.TRUE,
        "Under q the product is a martingale of mean 1, and by Ville P(ever ≥ 1/δ) ≤ δ. Under another law it grows "
        "exponentially for a p nearer to that law.",
        (
            Finding("share of 2,000 true streams of 400 tokens ever accused, δ = 0.05", true, high=0.065),
            Finding("share of streams from another law accused", false, low=0.95),
        ),
    )


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().sum(-1).mean() / 2)


def _alarms(law: Tensor, increment: Tensor, delta: float) -> float:
    """Return the share of 2,000 streams of 400 tokens drawn from `law` whose product ever reaches 1/δ."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.multinomial(law.exp(), 2000 * 400, True, generator=generator).reshape(2000, 400)
    return float((increment[tokens].cumsum(-1).amax(-1) >= -math.log(delta)).double().mean())
