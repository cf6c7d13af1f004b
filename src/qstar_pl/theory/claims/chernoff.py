"""Where the two divergences are equal, and what they are there."""

from __future__ import annotations

import torch

from qstar_pl.qstar import AlphaStatus, entropy_alpha, kl_divergence, solve_kl_symmetry
from qstar_pl.theory.claim import Claim, Finding, Verdict, zero
from qstar_pl.theory.pairs import Pairs, pairs_at, sharpened


def one_alpha() -> Claim:
    """Existence and uniqueness of α*."""
    pairs = pairs_at(1.5)
    grid = torch.linspace(0, 1, 201, dtype=torch.float64)
    # −Λ'(α) = D(q‖π_θ) − D(q‖π_t) on the grid [201, pairs].
    gaps = torch.stack([_gap(pairs, float(alpha)) for alpha in grid])
    changes = (gaps[:-1].sign() != gaps[1:].sign()).sum(0)
    # Only two of three tokens in common, and π_t nearly certain of the one that π_θ finds unlikely.
    policy = torch.tensor([[0.01, 0.0001, 0.9899]], dtype=torch.float64).log()
    target = torch.tensor([[0.9, 0.1, 0.0]], dtype=torch.float64).log()
    boundary = solve_kl_symmetry(policy, target).status == int(AlphaStatus.BOUNDARY)
    return Claim(
        "one-alpha",
        "There is exactly one α in [0, 1] with D(q‖π_θ) = D(q‖π_t).",
        Verdict.CONDITIONAL,
        "The difference is −Λ'(α), Λ is strictly convex unless the two are identical, and Λ' changes sign if both have "
        "the same support. With other supports it may not: then α* is an end, and the solver says BOUNDARY.",
        (
            Finding("most sign changes on a grid, 400 pairs", float(changes.max()), 1, 1),
            Finding("fewest", float(changes.min()), 1, 1),
            Finding("largest rise of the difference along α, nats", float(gaps.diff(dim=0).max()), high=0),
            Finding("counter-example with a restricted support at an end", float(boundary.all()), 1, 1),
        ),
    )


def chernoff_information() -> Claim:
    """At α* both divergences are the Chernoff information."""
    pairs = pairs_at(1.5)
    alpha = pairs.alpha()
    mixture = pairs.mixture(alpha)
    to_policy, to_target = (kl_divergence(mixture, one) for one in (pairs.policy, pairs.target))
    information = -pairs.log_z(alpha)
    grid = torch.linspace(0, 1, 1001, dtype=torch.float64)
    elsewhere = torch.stack([-pairs.log_z(one) for one in grid]).amax(0)
    return Claim(
        "chernoff-information",
        "Where they are equal, both divergences are the Chernoff information max_α −Λ(α).",
        Verdict.TRUE,
        "D(q_α‖π_θ) = −(1−α)Λ'(α) − Λ(α) and D(q_α‖π_t) = αΛ'(α) − Λ(α); at Λ' = 0 both are −Λ(α*).",
        (
            zero("largest |D(q*‖π_θ) + Λ(α*)|, nats, 400 pairs", float((to_policy - information).abs().max())),
            zero("largest |D(q*‖π_t) + Λ(α*)|, nats", float((to_target - information).abs().max())),
            Finding("most that another α of a grid has more, nats", float((elsewhere - information).max()), high=1e-12),
        ),
    )


def entropy_formula() -> Claim:
    """The entropy formula is not α*."""
    near, sharp = pairs_at(1.5), sharpened(3.0)
    return Claim(
        "entropy-formula",
        "α = H(π_θ)/(H(π_θ) + H(π_t)) is the KL-symmetric α.",
        Verdict.FALSE,
        "Entropies do not know where the two disagree. The formula is near ½ for language-model-like pairs, as α* is, "
        "and errs where one of the two is much sharper.",
        (
            Finding("mean |formula − α*|, log-ratio s.d. 1.5", _formula_error(near), 0.005, 0.1),
            Finding("the same where π_t has three times the logits", _formula_error(sharp), low=0.1),
        ),
    )


def fisher_halfway() -> Claim:
    """The Fisher reading of α*, and where it ends."""
    values = {distance: _fisher(pairs_at(distance)) for distance in (0.05, 3.0)}
    near, far = values[0.05], values[3.0]
    return Claim(
        "fisher-halfway",
        "q* is halfway between the two in Fisher information: α* = ½, and the Chernoff information is an eighth of it.",
        Verdict.NEARLY,
        "Λ''(α) = Var_q(ℓ) is the Fisher information of one draw about α. Where it is constant along the way, Λ is a "
        "parabola with Λ(0) = Λ(1) = 0: minimum −Λ''/8 at ½. By Cramér and Rao it bounds how well α can be told from "
        "draws of q_α; it bounds no gradient's variance.",
        (
            Finding("mean |α* − ½|, log-ratio s.d. 0.05", near[0], high=0.01),
            Finding("the same at s.d. 3", far[0], low=0.02),
            Finding("mean Chernoff information ÷ (Λ''(½)/8), s.d. 0.05", near[1], 0.99, 1.01),
            Finding("the same at s.d. 3", far[1], low=1.05),
        ),
    )


def _gap(pairs: Pairs, alpha: float) -> torch.Tensor:
    mixture = pairs.mixture(alpha)
    return kl_divergence(mixture, pairs.policy) - kl_divergence(mixture, pairs.target)


def _formula_error(pairs: Pairs) -> float:
    return float((entropy_alpha(pairs.policy, pairs.target) - pairs.alpha()).abs().mean())


def _fisher(pairs: Pairs) -> tuple[float, float]:
    """Return mean |α* − ½|, and the mean of the Chernoff information over an eighth of Λ''(½)."""
    alpha = pairs.alpha()
    half = pairs.mixture(0.5).exp()
    mean = (half * pairs.log_ratio).sum(-1, keepdim=True)
    information = (half * (pairs.log_ratio - mean).square()).sum(-1)
    return float((alpha - 0.5).abs().mean()), float((-pairs.log_z(alpha) / (information / 8)).mean())
