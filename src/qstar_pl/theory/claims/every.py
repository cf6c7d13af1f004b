"""All claims, in the order in which docs/theory.md proves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qstar_pl.theory.claim import Claim
from qstar_pl.theory.claims import answers, chernoff, drawing, effective_size, front, gradients

CLAIMS: Sequence[Callable[[], Claim]] = (
    chernoff.one_alpha,
    chernoff.chernoff_information,
    chernoff.entropy_formula,
    chernoff.fisher_halfway,
    front.pareto_front,
    effective_size.ess_expressions,
    effective_size.kl_symmetry_balances_ess,
    effective_size.ess_is_exp_minus_kl,
    effective_size.ess_away_from_zero,
    effective_size.ess_of_the_batch,
    gradients.least_variance,
    gradients.support,
    gradients.weight_levels,
    gradients.divergence_as_reward,
    answers.token_by_token,
    answers.killing,
    answers.particles,
    answers.metropolis,
    answers.whole_answer_alpha,
    drawing.speculative,
    drawing.balance_heuristic,
    drawing.interleaved,
    drawing.audit,
)
