"""Sequential Monte Carlo for a mixture of whole answers of which too few tries survive."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar import geometric_mixture
from qstar_pl.rollout.finish import write_tokens
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET, Mixed
from qstar_pl.rollout.pace import Clock, Pace
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.trace import Trace
from qstar_pl.types import PromptBatch


@dataclass(frozen=True)
class Chosen:
    """One answer of each set of particles."""

    trace: Trace
    """[sets, time], as `Survivors.trace`."""
    ended_mask: Tensor
    """[sets] bool."""
    log_z: Tensor
    """[sets] log of an unbiased estimate of Z(x), nats, each from its own set."""
    drawn: int
    """Tokens, of all particles."""


@torch.no_grad()
def resampled(
    prompts: PromptBatch,
    policy: NextToken,
    target: NextToken,
    alpha: Tensor,
    *,
    sets: int,
    particles: int,
    seed: int,
    max_new_tokens: int,
    pace: Pace = Pace(),
) -> Chosen:
    """Draw one answer from each of `sets` independent sets of particles for one prompt.

    A particle is drawn token by token from the mixture in its context; its weight grows by exactly Z_t in each, which
    is known before the token is drawn. Where the effective size of a set falls below one half, it is resampled
    systematically. The answer is a particle chosen by the last weights. Its law tends to q with the number of
    particles; for any number the product of mean weights is an unbiased estimate Ẑ of Z(x), and so is
    E[Ẑ · f(answer)] = Z E_q[f] (Andrieu, Doucet & Holenstein 2010, https://doi.org/10.1111/j.1467-9868.2009.00736.x):
    weights π_θ(y) Ẑ/(π_θ(y)^α π_t(y)^(1−α)) are unbiased, though the answer is not exactly a draw of q.

    Args:
        prompts: one prompt.
        policy: π_θ.
        target: π_t.
        alpha: [1] exponent of π_θ.
        sets: answers wanted.
        particles: of each set.
        seed: of the draw.
        max_new_tokens: longest answer.
        pace: when the loop ends, with processes that decode at the same time.

    """
    sessions = {POLICY: policy.start(prompts, sets * particles), TARGET: target.start(prompts, sets * particles)}
    like = sessions[POLICY].logits
    rows = torch.arange(len(like), device=like.device)
    alpha = alpha.to(like).expand(len(like))

    def numbers(per_set: int, count: int, purpose: str) -> Tensor:
        return row_uniforms(prompts.keys, sets * per_set, count, seed=seed, purpose=purpose).to(like.device)

    uniforms = numbers(particles, max_new_tokens, "particle")
    offsets = numbers(1, max_new_tokens + 1, "resample particles")
    eos = torch.tensor(policy.eos_token_ids, dtype=torch.int64, device=like.device)
    trace, ended = Trace(len(like), max_new_tokens, like), torch.zeros_like(rows, dtype=torch.bool)
    log_weights = torch.zeros(sets, particles, dtype=torch.float64, device=like.device)
    log_z = log_weights.new_zeros(sets)
    clock, drawn = Clock(pace), 0
    for time in range(max_new_tokens):
        logprobs = {role: session.logits.log_softmax(-1) for role, session in sessions.items()}
        mixed = geometric_mixture(logprobs[POLICY], logprobs[TARGET], alpha)
        log_weights += torch.where(ended, 0.0, mixed.log_z.double()).view_as(log_weights)
        poor_mask = (2 * log_weights).logsumexp(-1) - 2 * log_weights.logsumexp(-1) > -torch.tensor(particles / 2).log()
        if bool(poor_mask.any()):
            parents = torch.where(
                poor_mask.unsqueeze(-1),
                systematic(log_weights.softmax(-1), offsets[:, time]),
                torch.arange(particles, device=like.device),
            )
            log_z += torch.where(poor_mask, _log_mean(log_weights), 0.0)
            log_weights = torch.where(poor_mask.unsqueeze(-1), 0.0, log_weights)
            chosen = (parents + torch.arange(sets, device=like.device).unsqueeze(-1) * particles).flatten()
            for session in sessions.values():
                session.select(chosen)
            trace.select(chosen)
            ended = ended[chosen]
            logprobs = {role: values[chosen] for role, values in logprobs.items()}
            mixed = geometric_mixture(logprobs[POLICY], logprobs[TARGET], alpha)
        live = rows[~ended]
        drawn += len(live)
        probs = mixed.logprobs.softmax(-1)
        token = inverse_cdf(probs, uniforms[:, time])
        own = Mixed(mixed.logprobs[live], alpha[live], mixed.log_z[live])
        said = {role: values[live] for role, values in logprobs.items()}
        write_tokens(trace, (live, time), token[live], said, own, own.logprobs, probs[live])
        ended = ended | torch.isin(token, eos)
        if time + 1 == max_new_tokens or clock.over(bool(ended.all()), time + 1):
            break
        for session in sessions.values():
            session.advance(token)
    # One particle of each set, by the last weights.
    picks = inverse_cdf(log_weights.softmax(-1), offsets[:, -1]) + torch.arange(sets, device=like.device) * particles
    trace.select(picks)
    return Chosen(trace, ended[picks], log_z + _log_mean(log_weights), drawn)


def systematic(probs: Tensor, offsets: Tensor) -> Tensor:
    """Return parents [sets, n] of n children: the particles at (offset + 0 … n − 1)/n of their running sum.

    A particle of weight w has ⌊nw⌋ or ⌈nw⌉ children, nw on average.

    Args:
        probs: [sets, n] weights, which sum to 1.
        offsets: [sets] in [0, 1).

    """
    count = probs.shape[-1]
    points = (offsets.unsqueeze(-1) + torch.arange(count, device=probs.device)) / count
    return torch.searchsorted(probs.cumsum(-1), points, right=True).clamp_max_(count - 1)


def _log_mean(log_weights: Tensor) -> Tensor:
    return log_weights.logsumexp(-1) - torch.tensor(float(log_weights.shape[-1])).log()
