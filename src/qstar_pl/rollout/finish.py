"""From drawn tokens to a rollout: what is written of each token, and what is added once all answers have ended."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qstar_pl.errors import NonFiniteError
from qstar_pl.models.next_token import NextToken
from qstar_pl.qstar.deferred import current, raising
from qstar_pl.rollout.absent import fill_absent
from qstar_pl.rollout.drawn_laws import DrawnLaws
from qstar_pl.rollout.law import POLICY, TARGET, Law, Mixed
from qstar_pl.rollout.pace import Pace
from qstar_pl.rollout.token import Drawn, token_columns
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import PromptBatch, Rollout, SamplerInfo


def write_tokens(
    trace: Trace,
    where: tuple[Tensor, Tensor | int],
    token: Tensor,
    logprobs: Mapping[str, Tensor],
    mixed: Mixed,
    law_logprobs: Tensor,
    law_probs: Tensor,
) -> None:
    """Write all that is known of n drawn tokens.

    Args:
        trace: where to.
        where: (rows [n], their times [n], or one for all).
        token: [n].
        logprobs: [n, vocab] of each of the law's roles.
        mixed: what the law made of them.
        law_logprobs: [n, vocab] log q after truncation: what the tokens were drawn from.
        law_probs: [n, vocab] q.

    """
    trace.ids[where], trace.mask[where] = token, torch.ones_like(token, dtype=torch.bool)
    for name, values in token_columns(token, logprobs, mixed, law_logprobs, law_probs).items():
        trace.write(name, where, values)


def finish(
    trace: Trace,
    prompts: PromptBatch,
    law: Law,
    truncation: Truncation,
    models: Mapping[str, NextToken],
    *,
    ended: Tensor,
    samples: int,
    info: SamplerInfo,
    pace: Pace = Pace(),
    laws: DrawnLaws | None = None,
) -> Rollout:
    """Return the rollout of finished answers; a model that the law does not need reads them in a single pass.

    Args:
        trace: the answers, with what the law's own models say of them.
        prompts: what they answer.
        law: q.
        truncation: of q.
        models: by role; where both are one, it reads nothing twice.
        ended: [rows] bool, whether an answer ended with EOS.
        samples: answers per prompt.
        info: how they were drawn.
        pace: of processes that do the same at the same time.
        laws: what the tokens were drawn from, if it was kept: else the law's own model reads the answers too.

    """
    trace.flush()
    trace.cut(max(1, int(trace.mask.sum(-1).max())))
    prompt_index = torch.arange(len(prompts), device=trace.ids.device).repeat_interleave(samples)
    _check_finite(trace)
    if models[POLICY] is models[TARGET] and law.roles == (POLICY,):
        trace.copy_policy()
    elif absent := {POLICY, TARGET}.difference(law.roles):
        known = None if laws is None else laws.at
        fill_absent(trace, prompts, prompt_index, law, truncation, models, role=absent.pop(), pace=pace, known=known)
    return Rollout(
        prompts=prompts,
        prompt_index=prompt_index,
        completion_ids=trace.ids,
        completion_mask=trace.mask,
        ended_mask=ended,
        info=info,
        **trace.columns,
    )


def _check_finite(trace: Trace) -> None:
    """A NaN in a model's logits would otherwise come out as a token like any other."""
    if not bool(trace.columns["behavior_logprobs"].isfinite().all()):
        raise not_finite()


def note_infinite(drawn: Drawn) -> None:
    """Where checks are noted, note the rows whose law is NaN; where they are made at once, `finish` makes this one."""
    if (deferred := current()) is not None:
        deferred.note("finite", ~drawn.columns["behavior_logprobs"].isfinite(), raising(_not_finite_at))


def _not_finite_at(places: list[tuple[int, ...]]) -> NonFiniteError:
    return not_finite(f" (row, position) {places[0]}")


def not_finite(where: str = "") -> NonFiniteError:
    """Say that a model has diverged."""
    return NonFiniteError(
        f"a model must give finite logits, got NaN or infinity while decoding{where}: its weights may have diverged"
    )
