"""Which laws lie between π_θ and π_t at the least cost."""

from __future__ import annotations

import torch

from qstar_pl.qstar import kl_divergence
from qstar_pl.theory.claim import Claim, Finding, Verdict, zero
from qstar_pl.theory.pairs import Pairs, pairs_at

RIVALS = 200
"""Other laws that each pair is compared with."""


def pareto_front() -> Claim:
    """The geometric family is the front of the two divergences."""
    pairs = pairs_at(1.5, pairs=100)
    rivals = _rivals(pairs)  # [rivals, pairs, tokens]
    to_policy, to_target = (kl_divergence(rivals, one.expand_as(rivals)) for one in (pairs.policy, pairs.target))
    least, identity = float("inf"), 0.0
    for alpha in (0.1, 0.3, 0.5, 0.7, 0.9):
        excess = alpha * to_policy + (1 - alpha) * to_target + pairs.log_z(alpha)
        least = min(least, float(excess.min()))
        mixture = pairs.mixture(alpha).expand_as(rivals)
        identity = max(identity, float((excess - kl_divergence(rivals, mixture)).abs().max()))
    radius = torch.maximum(to_policy, to_target) + pairs.log_z(pairs.alpha())
    arithmetic = _arithmetic_excess(pairs)
    return Claim(
        "pareto-front",
        "No law is nearer to both than the geometric mixtures are: they are the Pareto front of D(·‖π_θ) and D(·‖π_t).",
        Verdict.TRUE,
        "αD(q‖π_θ) + (1−α)D(q‖π_t) = D(q‖q_α) − Λ(α) for every q, so q_α alone has the least weighted sum. q* is the "
        "center: it has the least larger divergence. This is about divergences from q, in this direction, and no more.",
        (
            zero("largest error of the identity, nats, 20,000 laws, five α", identity),
            Finding("least weighted sum of another law above the front, nats", least, low=0),
            Finding("least larger divergence of another law above that of q*, nats", float(radius.min()), low=0),
            Finding("the arithmetic mean of the two above the front, mean, nats", arithmetic, low=0.01),
        ),
    )


def _rivals(pairs: Pairs) -> torch.Tensor:
    """Return random laws around the geometric mixtures, from very close to far."""
    generator = torch.Generator().manual_seed(1)
    count, tokens = pairs.policy.shape
    alpha = torch.rand(RIVALS, count, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(RIVALS, count, tokens, generator=generator, dtype=torch.float64)
    size = torch.logspace(-2, 0.3, RIVALS, dtype=torch.float64).reshape(-1, 1, 1)
    return (pairs.target + alpha * pairs.log_ratio + size * noise).log_softmax(-1)


def _arithmetic_excess(pairs: Pairs) -> float:
    mean = torch.logaddexp(pairs.policy, pairs.target) - torch.log(torch.tensor(2.0, dtype=torch.float64))
    divergences = (kl_divergence(mean, one) for one in (pairs.policy, pairs.target))
    return float((sum(divergences) / 2 + pairs.log_z(0.5)).mean())
