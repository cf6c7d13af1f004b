"""The decode loop that all samplers share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.finish import finish, write_tokens
from qstar_pl.rollout.heap import keep_freed_memory
from qstar_pl.rollout.inverse_cdf import inverse_cdf
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.lockstep import start_all
from qstar_pl.rollout.pace import Clock, Pace
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo

CROWDED = 7 / 8
"""Once no more than this share of a batch's rows still run, the others leave it: that copies the caches of those that
stay, about as much as a token costs them."""
LEAST_ROWS = 4
"""Rows that stay in any case. Matrix products of fewer rows are summed by other kernels, in another order; from four
on, a single thread gives each row bit for bit what the whole batch gives it. Four cost hardly more than one."""


@torch.no_grad()
def decode(
    prompts: PromptBatch,
    policy: NextToken,
    target: NextToken,
    law: Law,
    *,
    samples: int,
    seed: int,
    max_new_tokens: int,
    truncation: Truncation = Truncation(),
    pace: Pace = Pace(),
) -> Rollout:
    """Draw `samples` answers to each prompt from `law`, token by token.

    The models that the law needs run in lockstep over their caches; a model that it does not need reads the finished
    answers in a single pass (or not at all, if it is the very policy that was sampled). One uniform number per token
    and row comes from the row's own stream, so two equal prompts of one batch get equal answers, and in float32 a row's
    text depends on (seed, prompt key, sample number) alone (see `Sampler.draw` for bfloat16).

    Args:
        prompts: padded on the left.
        policy: π_θ, whose EOS ids end an answer.
        target: π_t.
        law: makes q from their log-probabilities.
        samples: answers per prompt.
        seed: of the draw; another step needs another seed.
        max_new_tokens: longest answer, EOS included.
        truncation: temperature, top-k and top-p of q.
        pace: when the loop ends, with processes that decode at the same time; see `distributed.generation`.

    """
    check_vocabularies(policy, target)
    keep_freed_memory()
    models: Mapping[str, NextToken] = {POLICY: policy, TARGET: target}
    sessions = start_all({role: models[role] for role in law.roles}, prompts, samples)
    like = sessions.logits()[law.roles[0]]
    uniforms = row_uniforms(prompts.keys, samples, max_new_tokens, seed=seed).to(like.device)
    trace = Trace(len(like), max_new_tokens, like)
    # May be empty: isin is then False everywhere, and answers end at max_new_tokens.
    eos = torch.tensor(policy.eos_token_ids, dtype=torch.int64, device=like.device)
    ended = torch.zeros(len(like), dtype=torch.bool, device=like.device)
    live = torch.arange(len(like), device=like.device)
    kept = live  # the sessions' rows: the live ones, and ended ones that have not left yet
    clock = Clock(pace)
    for time in range(max_new_tokens):
        if len(live):  # none live: other processes still decode, and this one keeps them company
            places = _places(kept, live)
            logprobs = {role: _pick(said, places).log_softmax(-1) for role, said in sessions.logits().items()}
            token = _draw(trace, time, live, logprobs, law, truncation, uniforms[live, time])
            ended[live] = torch.isin(token, eos)
            live = (~ended).nonzero().squeeze(-1)
        # The last step needs no question, since every process ends there.
        if time + 1 == max_new_tokens or clock.over(len(live) == 0, time + 1):
            break
        if max(LEAST_ROWS, len(live)) <= CROWDED * len(kept):
            stay = _stay(kept, live)
            sessions.select(_places(kept, stay))
            kept = stay
        # Ended rows that are still there go on with token 0, and nothing more is written of them.
        sessions.advance(trace.ids[kept, time])
    info = SamplerInfo(exact=True, seed=seed)
    return finish(trace, prompts, law, truncation, models, ended=ended, samples=samples, info=info, pace=pace)


def _places(kept: Tensor, live: Tensor) -> Tensor:
    """Return where the rows `live` stand among `kept`, both in ascending order."""
    return torch.searchsorted(kept, live)


def _stay(kept: Tensor, live: Tensor) -> Tensor:
    """Return the rows that stay in the batch, in ascending order: the live ones, and ended ones if those are few."""
    ended = kept[~torch.isin(kept, live)]
    return torch.cat([live, ended[: max(0, LEAST_ROWS - len(live))]]).sort().values


def _pick(logits: Tensor, places: Tensor) -> Tensor:
    """Return the rows that still run: ended rows cost no arithmetic and cannot fail for want of a common support."""
    return logits if len(places) == len(logits) else logits[places]


def _draw(
    trace: Trace,
    time: int,
    live: Tensor,
    logprobs: Mapping[str, Tensor],
    law: Law,
    truncation: Truncation,
    uniforms: Tensor,
) -> Tensor:
    """Draw one token for every live row, write all that is known of it, and return the tokens [live]."""
    # Row numbers and one column: the tensors of this function have a row for each live answer only.
    where = (live, time)
    mixed = law(logprobs)
    law_logprobs = truncation(mixed.logprobs)
    law_probs = law_logprobs.softmax(-1)  # one fused loop, faster on a CPU than exp
    token = inverse_cdf(law_probs, uniforms)
    write_tokens(trace, where, token, logprobs, mixed, law_logprobs, law_probs)
    return token


def check_vocabularies(policy: NextToken, target: NextToken) -> None:
    """Raise UserError unless both models have probabilities for the same tokens."""
    if policy.vocab_size != target.vocab_size:
        raise UserError(
            f"target must share the policy's vocabulary of {policy.vocab_size} tokens, got {target.vocab_size}"
        )
