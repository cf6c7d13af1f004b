"""Effective sample sizes of the weights π_θ/q and π_t/q under q."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.qstar import kl_divergence, log_ess, solve_ess_balance
from qstar_pl.theory.claim import Claim, Finding, Verdict, zero
from qstar_pl.theory.gaussian import divergence, effective_size, mixture, symmetric_alpha
from qstar_pl.theory.pairs import Pairs, pairs_at, reordered, sharpened
from qstar_pl.theory.scenes import SCENES


def ess_expressions() -> Claim:
    """Both ESS as values of Λ."""
    pairs = pairs_at(1.5)
    worst = 0.0
    for alpha in (0.0, 0.3, 0.5, 0.8, 1.0):
        mixture, log_z = pairs.mixture(alpha), pairs.log_z(alpha)
        policy = log_ess(pairs.policy, mixture) - (-log_z - pairs.log_z(2 - alpha))
        target = log_ess(pairs.target, mixture) - (-log_z - pairs.log_z(-alpha))
        worst = max(worst, float(policy.abs().max()), float(target.abs().max()))
    return Claim(
        "ess-expressions",
        "log ESS_θ = −Λ(α) − Λ(2−α) and log ESS_t = −Λ(α) − Λ(−α).",
        Verdict.TRUE,
        "π_θ²/q_α = Z_α π_θ^(2−α) π_t^(α−1), whose sum is exp(Λ(α) + Λ(2−α)); likewise for π_t.",
        (zero("largest difference from −log Σ π²/q, nats, 400 pairs, five α", worst),),
    )


def kl_symmetry_balances_ess() -> Claim:
    """Equal divergences do not make equal effective sample sizes."""
    near, far, sharp = (_ratio(pairs) for pairs in (pairs_at(0.1), pairs_at(1.5), sharpened(3.0)))
    symmetric = (_ratio(reordered(2.0)) - 1).abs().max()
    pair = sharpened(3.0)
    found = solve_ess_balance(pair.policy, pair.target, tol=1e-8).alpha
    left = (pair.log_z(2 - found) - pair.log_z(-found)).abs().max()
    return Claim(
        "kl-symmetry-balances-ess",
        "Where the divergences are equal, so are ESS_θ and ESS_t.",
        Verdict.NEARLY,
        "ESS_θ = ESS_t asks for Λ(2−α) = Λ(−α), two values outside [0, 1] about which Λ'(α) = 0 says nothing. They "
        "agree where Λ is symmetric about α* (equal spread, or one is a reordering of the other). The exact balance "
        "has one root of its own: `ESSBalanceAlpha`.",
        (
            Finding("ESS_θ/ESS_t at α*, log-ratio s.d. 0.1: least", float(near.min()), 0.99, 1.01),
            Finding("most", float(near.max()), 0.99, 1.01),
            Finding("log-ratio s.d. 1.5: the 2.5% quantile", _quantile(far, 0.025), 0.5, 0.95),
            Finding("the 97.5% quantile", _quantile(far, 0.975), 1.05, 2.0),
            Finding("counter-example: π_t with three times the logits, median", _quantile(sharp, 0.5), 0.5, 0.8),
            zero("largest |ratio − 1| where π_t reorders π_θ", float(symmetric), 1e-6),
            zero("largest |Λ(2−α) − Λ(−α)| at the α of ESS balance, nats", float(left), 1e-5),
        ),
    )


def ess_is_exp_minus_kl() -> Claim:
    """ESS and the exponential of a divergence."""
    pairs, near = pairs_at(1.5), pairs_at(0.05)
    gap = _log_ess(pairs) + kl_divergence(pairs.policy, _star(pairs))
    # −log ESS_θ over D(q*‖π_θ), the divergence that α* makes equal.
    ratio = -_log_ess(near) / kl_divergence(_star(near), near.policy)
    other = _log_ess(pairs) + kl_divergence(_star(pairs), pairs.policy)
    return Claim(
        "ess-is-exp-minus-kl",
        "ESS_θ = exp(−D(π_θ‖q)), so that equal divergences mean equal ESS.",
        Verdict.FALSE,
        "By Jensen ESS_θ = 1/E_πθ[π_θ/q] ≤ exp(−D(π_θ‖q)): a bound and no equality, and of the divergence in the other "
        "direction than α* makes equal. For near pairs −log ESS is twice the divergence.",
        (
            Finding("largest log ESS_θ + D(π_θ‖q*), nats, s.d. 1.5", float(gap.max()), high=0),
            Finding("mean of the same", float(gap.mean()), high=-0.05),
            Finding("mean log ESS_θ + D(q*‖π_θ), s.d. 1.5", float(other.mean()), high=-0.05),
            Finding("mean −log ESS_θ ÷ D(q*‖π_θ), s.d. 0.05", float(ratio.mean()), 1.95, 2.05),
        ),
    )


def ess_away_from_zero() -> Claim:
    """Between a sharp and a flat law both ESS may be 0."""
    policy, target = SCENES["sharp_and_flat"]
    alpha = symmetric_alpha(policy, target)
    center = mixture(policy, target, alpha)
    of_policy, of_target = effective_size(policy, target, alpha)
    return Claim(
        "ess-away-from-zero",
        "Halfway between the two, neither of the two effective sample sizes is lost.",
        Verdict.FALSE,
        "ESS_θ needs Λ(2−α) finite: tails of π_θ² must not be heavier than those of q. Of two Gaussians, each narrow "
        "where the other is wide, q* has narrower tails than both need: equal divergences, weights without a variance.",
        (
            Finding("D(q*‖π_θ) = D(q*‖π_t), nats, two Gaussians in the plane", divergence(center, policy), 1.0, 1.5),
            zero("their difference", divergence(center, policy) - divergence(center, target)),
            zero("ESS_θ per sample", of_policy),
            zero("ESS_t per sample", of_target),
        ),
    )


def ess_of_the_batch() -> Claim:
    """An ESS that is formed per rank, micro-batch or token is not the batch's."""
    answers, steps, spread = 512, 200, 0.1
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(100, answers, steps, generator=generator, dtype=torch.float64)
    tokens = spread * noise - spread**2 / 2  # log-weights of mean weight 1
    whole = tokens.sum(-1)
    true = float(_share(whole).mean())
    ranks, micro = (float(_share(whole.unflatten(-1, (-1, size))).mean()) for size in (64, 8))
    pooled = float(_share(tokens.flatten(1)).mean())
    cv = whole.exp().std(-1, correction=0) / whole.exp().mean(-1)
    return Claim(
        "ess-of-the-batch",
        "The ESS of a batch is the mean over its ranks, micro-batches or tokens.",
        Verdict.FALSE,
        "ESS/N = (Σw)²/(N Σw²) = 1/(1 + CV²) is a ratio of sums: a part without the heavy weight reports a large one. "
        "Sums are reduced first, and the ratio formed once.",
        (
            zero("largest |ESS/N − 1/(1 + CV²)|", float((_share(whole) - 1 / (1 + cv.square())).abs().max())),
            Finding("ESS/N of 512 answers of 200 tokens, token log-weights s.d. 0.1", true, 0.1, 0.2),
            Finding("mean of 8 ranks ÷ true", ranks / true, low=1.2),
            Finding("mean of micro-batches of 8 ÷ true", micro / true, low=2.0),
            Finding("of all tokens as if independent ÷ true", pooled / true, low=5.0),
        ),
    )


def _star(pairs: Pairs) -> Tensor:
    return pairs.mixture(pairs.alpha())


def _log_ess(pairs: Pairs) -> Tensor:
    return log_ess(pairs.policy, _star(pairs))


def _ratio(pairs: Pairs) -> Tensor:
    """Return ESS_θ/ESS_t at α* [pairs]."""
    mixture = _star(pairs)
    return (log_ess(pairs.policy, mixture) - log_ess(pairs.target, mixture)).exp()


def _quantile(values: Tensor, share: float) -> float:
    return float(values.quantile(share))


def _share(log_weights: Tensor) -> Tensor:
    """Return ESS/N over the last dimension."""
    total, squares = log_weights.logsumexp(-1), (2 * log_weights).logsumexp(-1)
    return (2 * total - squares).exp() / log_weights.shape[-1]
