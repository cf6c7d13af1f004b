"""Mixtures of whole answers, and what decoding token by token draws instead."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.qstar.sequence_alpha import symmetric_sequence_alpha
from qstar_pl.theory.chain import ANSWERS, STEPS, SYMBOLS, Chain, TokenMixture, mix_tokens
from qstar_pl.theory.claim import Claim, Finding, Verdict, zero

ALPHA = 0.5
SCALE = 1.5
"""Standard deviation of the logits of both chains."""


def token_by_token() -> Claim:
    """Mixing tokens is not mixing answers."""
    mixture, whole, log_z = _laws()
    tokens = mixture.chain.of_tokens().sum(-1)
    total = mixture.log_z.sum(-1)  # S
    gap = (tokens.exp() * (tokens - whole)).sum()
    stated = log_z - (tokens.exp() * total).sum()  # E_q[e^S] = Z
    return Claim(
        "token-by-token",
        "Decoding from the mixture of next-token laws draws from the mixture of whole answers.",
        Verdict.FALSE,
        "q_tok(y) ∏_t Z_t(y_<t) = π_θ(y)^α π_t(y)^(1−α): token by token, the prefixes on which the models disagree are "
        "drawn too often. The gap is D(q_tok‖q_seq) = log E[e^S] − E[S] with S = Σ_t log Z_t.",
        (
            Finding("total variation between the two, 3 symbols, 5 steps", _distance(tokens, whole), low=0.1),
            Finding("D(q_tok‖q_seq), nats", float(gap), low=0.01),
            zero("its difference from log E[e^S] − E[S]", float(gap - stated)),
            zero("largest error of the product formula, nats", float((tokens + total - whole - log_z).abs().max())),
        ),
    )


def killing() -> Claim:
    """Rows that live on with probability Z_t."""
    mixture, whole, log_z = _laws()
    survived = mixture.chain.of_tokens().sum(-1) + mixture.log_z.sum(-1)
    largest = float(mixture.log_z.max())
    return Claim(
        "killing",
        "If a row lives on after token t with probability Z_t, survivors are draws from the mixture of whole answers.",
        Verdict.TRUE,
        "Z_t ≤ 1 by Hölder, and a survivor has the probability q_tok(y) ∏ Z_t, the unnormalized mixture; the share "
        "that survives is Z(x). It falls exponentially with length, and then sequential Monte Carlo takes over.",
        (
            Finding("largest log Z_t, nats", largest, high=0),
            zero("total variation of survivors from the mixture", _distance(survived - survived.logsumexp(0), whole)),
            zero("share that survives minus Z(x)", float(survived.logsumexp(0).exp() - log_z.exp())),
            Finding("Z(x) of this pair", float(log_z.exp()), 0.3, 0.6),
        ),
    )


def metropolis() -> Claim:
    """Independent Metropolis–Hastings from q_tok."""
    mixture, whole, _ = _laws()
    tokens, total = mixture.chain.of_tokens().sum(-1), mixture.log_z.sum(-1)
    accept = (total.unsqueeze(0) - total.unsqueeze(1)).clamp_max(0).exp()  # [from, to]
    moves = tokens.exp() * accept
    kept = whole.exp() * (1 - moves.sum(-1)) + whole.exp() @ moves
    without = whole.exp() @ tokens.exp().expand(ANSWERS, -1)  # every proposal accepted
    return Claim(
        "metropolis",
        "Metropolis–Hastings with proposals of q_tok, accepted with min(1, exp(S′ − S)), leaves q_seq as it is.",
        Verdict.TRUE,
        "q_seq/q_tok is proportional to e^S, so exp(S′ − S) is the Hastings ratio of an independent proposal.",
        (
            zero("total variation after one step from q_seq", float((kept - whole.exp()).abs().sum() / 2)),
            Finding("the same if all are accepted", float((without - whole.exp()).abs().sum() / 2), low=0.1),
        ),
    )


def particles() -> Claim:
    """Sequential Monte Carlo with incremental weights Z_t."""
    mixture, _, log_z = _laws()
    runs, width = 4000, 8
    estimate = _particle_estimates(mixture, runs, width, seed=0)
    standard_error = estimate.std() / runs**0.5
    logs = float(estimate.log().mean() - log_z)
    return Claim(
        "particles",
        "Sequential Monte Carlo from q_tok with incremental weight Z_t estimates Z(x) without bias.",
        Verdict.TRUE,
        "The weight of a prefix is the unnormalized mixture over the proposal, exactly Z_t per token; the product of "
        "the mean weights is unbiased (Del Moral 2004). Its logarithm is not.",
        (
            Finding(
                "mean of 4,000 estimates with 8 particles minus Z(x), standard errors",
                float((estimate.mean() - log_z.exp()) / standard_error),
                -3.3,
                3.3,
            ),
            Finding("mean log estimate minus log Z(x), nats", logs, high=-0.001),
        ),
    )


def whole_answer_alpha() -> Claim:
    """KL symmetry over whole answers."""
    policy, target = Chain.random(0, SCALE), Chain.random(1, SCALE)
    theta, other = policy.of_tokens().sum(-1), target.of_tokens().sum(-1)
    proposal = mix_tokens(policy, target, ALPHA).chain.of_tokens().sum(-1)
    exact = float(symmetric_sequence_alpha(theta, other, torch.zeros_like(theta)))  # every answer once
    law = (exact * theta + (1 - exact) * other).log_softmax(0)
    gap = float((law.exp() * (other - theta)).sum())
    drawn = torch.multinomial(proposal.exp(), 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    found = float(symmetric_sequence_alpha(theta[drawn], other[drawn], proposal[drawn]))
    return Claim(
        "whole-answer-alpha",
        "The α of KL symmetry over whole answers is found from a pilot pool of token-wise answers.",
        Verdict.TRUE,
        "Λ_seq(α) = log Z_α(x) is convex with derivative E_qseq[Σ_t ℓ_t], and that expectation is one over q_tok with "
        "self-normalized weights: consistent, with an error of order 1/√n.",
        (
            zero("D(q_seq‖π_θ) − D(q_seq‖π_t) at the α of all answers, nats", gap, 1e-6),
            Finding("α from 20,000 drawn answers minus the exact one", found - exact, -0.02, 0.02),
        ),
    )


def _laws() -> tuple[TokenMixture, Tensor, Tensor]:
    """Return the token-wise mixture, log q_seq [answers], and log Z(x)."""
    policy, target = Chain.random(0, SCALE), Chain.random(1, SCALE)
    raw = ALPHA * policy.of_tokens().sum(-1) + (1 - ALPHA) * target.of_tokens().sum(-1)
    log_z = raw.logsumexp(0)
    return mix_tokens(policy, target, ALPHA), raw - log_z, log_z


def _distance(first: Tensor, second: Tensor) -> float:
    """Return the total variation between two laws from their log-probabilities."""
    return float((first.exp() - second.exp()).abs().sum() / 2)


def _particle_estimates(mixture: TokenMixture, runs: int, width: int, seed: int) -> Tensor:
    """Return Ẑ(x) of each run [runs]; particles are chosen anew by their weights after every token."""
    generator = torch.Generator().manual_seed(seed)
    prefix = torch.zeros(runs, width, dtype=torch.int64)
    estimate = torch.ones(runs, dtype=torch.float64)
    for step in range(STEPS):
        weight = mixture.log_z[:: ANSWERS // SYMBOLS**step, step].exp()[prefix]  # Z_t depends on the prefix alone
        estimate *= weight.mean(-1)
        chosen = prefix.gather(-1, torch.multinomial(weight, width, replacement=True, generator=generator))
        rows = mixture.chain.steps[step].exp()[chosen.flatten()]
        prefix = SYMBOLS * chosen + torch.multinomial(rows, 1, generator=generator).reshape(runs, width)
    return estimate
