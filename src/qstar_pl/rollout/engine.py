"""The decode loop that all samplers share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

import torch

from qstar_pl.errors import UserError
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar.deferred import Deferred
from qstar_pl.rollout.compiled import compiled_drawing
from qstar_pl.rollout.drawn_laws import drawn_laws
from qstar_pl.rollout.finish import finish, note_infinite
from qstar_pl.rollout.fused.drawing import fused_drawing
from qstar_pl.rollout.heap import keep_freed_memory
from qstar_pl.rollout.kept import KeptRecorder
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.lockstep import start_all
from qstar_pl.rollout.pace import Clock, Pace
from qstar_pl.rollout.rows import Rows
from qstar_pl.rollout.streams import row_uniforms
from qstar_pl.rollout.token import drawing
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


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
    fused: bool = True,
    kept: KeptRecorder | None = None,
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
        fused: whether a token may be drawn by one kernel, where there is one for this law and device.
        kept: records what top-k and top-p leave over, for `SamplerInfo.kept`; None: nobody asks.

    """
    check_vocabularies(policy, target)
    keep_freed_memory()
    models: Mapping[str, NextToken] = {POLICY: policy, TARGET: target}
    sessions = start_all({role: models[role] for role in law.roles}, prompts, samples)
    like = sessions.logits()[law.roles[0]]
    uniforms = row_uniforms(prompts.keys, samples, max_new_tokens, seed=seed).to(like.device)
    trace, rows, clock = Trace(len(like), max_new_tokens, like), Rows(len(like), like.device), Clock(pace)
    # May be empty: then answers end at max_new_tokens.
    eos = torch.tensor(policy.eos_token_ids, dtype=torch.int64, device=like.device)
    draw = None
    if kept is None:  # a kernel or a graph shows its law to nobody
        draw = fused_drawing(law, truncation, sessions.logits()) if fused else None
        draw = draw or compiled_drawing(law, truncation)
    laws = drawn_laws(law, models, len(like), max_new_tokens, like, pace) if draw is None else None
    watching = [one for one in (kept, laws) if one is not None]
    draw = draw or drawing(law, truncation, *(one.see for one in watching))
    checks, every = Deferred(), pace.tokens_between_looks(like.device)
    numbers, read = uniforms, torch.zeros_like(rows.live)
    for time in range(max_new_tokens):
        if len(rows.live):  # none live: other processes still decode, and this one keeps them company
            logits = {role: rows.pick(said) for role, said in sessions.logits().items()}
            # With a look at every token, what is wrong may as well be said at once.
            with nullcontext() if every == 1 else checks.token(time, rows.live, rows.running):
                drawn = draw(logits, numbers[:, time])
                note_infinite(drawn)
            trace.add(rows.live, time, rows.running, drawn)
            if kept is not None:
                kept.note(rows.live, time, rows.running)
            if laws is not None:
                laws.note(rows.live, time)
            rows.end((drawn.ids.unsqueeze(-1) == eos).any(-1))
            read = rows.spread(drawn.ids)
        # The last step needs no question, since every process ends there.
        if time + 1 == max_new_tokens:
            break
        if (time + 1) % every == 0:
            (left,) = checks.read(rows.running.sum())
            if clock.over(left == 0, time + 1):
                break
            if left < len(rows.live):
                read = rows.look(left, sessions.select, read)
                numbers = uniforms[rows.live]
        sessions.advance(read)
    checks.read()
    ended = torch.ones(len(like), dtype=torch.bool, device=like.device).index_copy(0, rows.live, ~rows.running)
    info = SamplerInfo(exact=True, seed=seed)
    done = finish(
        trace, prompts, law, truncation, models, ended=ended, samples=samples, info=info, pace=pace, laws=laws
    )
    return done if kept is None else replace(done, info=replace(info, kept=kept.sets(*done.completion_ids.shape)))


def check_vocabularies(policy: NextToken, target: NextToken) -> None:
    """Raise UserError unless both models have probabilities for the same tokens."""
    if policy.vocab_size != target.vocab_size:
        raise UserError(
            f"target must share the policy's vocabulary of {policy.vocab_size} tokens, got {target.vocab_size}"
        )
