"""What the models at hand say of tokens that others drew: an inference engine, or the policy of earlier steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.absent import chunk_rows, rows_by_length
from qstar_pl.rollout.finish import write_tokens
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.pace import Pace, in_company
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import KeptSets, PromptBatch, Rollout


@torch.no_grad()
def score_tokens(
    prompts: PromptBatch,
    prompt_index: Tensor,
    completion_ids: Tensor,
    completion_mask: Tensor,
    policy: NextToken,
    target: NextToken,
    law: Law,
    *,
    truncation: Truncation = Truncation(),
    kept: KeptSets | None = None,
    pace: Pace = Pace(),
) -> Trace:
    """Return every float column of `Rollout` for given tokens, `behavior_logprobs` being log q(y_t).

    Each model reads the answers once, in chunks of rows. Under top-k and top-p, q is renormalized over the sets that
    were `kept` when the tokens were drawn. Without them q would have a kept set of its own, from which kernels that
    round otherwise may drop the very token that was drawn (log q = −∞).

    Args:
        prompts: padded on the left.
        prompt_index: [rows] int64, the prompt of each answer.
        completion_ids: [rows, time] int64, padded on the right.
        completion_mask: [rows, time] bool.
        policy: π_θ.
        target: π_t; may be the policy itself, which is then read once.
        law: makes q of what they say.
        truncation: of q.
        kept: what it left over.
        pace: of processes that do the same at the same time.

    """
    models: Mapping[str, NextToken] = {POLICY: policy, TARGET: target}
    size = chunk_rows(len(completion_ids), completion_ids.shape[1], policy.vocab_size)
    trace: Trace | None = None
    for rows, longest in in_company(rows_by_length(completion_mask, size), pace):
        mask = completion_mask[rows, :longest]
        answers = (prompts, prompt_index[rows], completion_ids[rows, :longest], mask)
        logprobs: dict[str, Tensor] = {}
        for role, model in models.items():
            same = role == TARGET and target is policy
            # [tokens, vocab]: pads are dropped before anything is normalized.
            logprobs[role] = logprobs[POLICY] if same else model.completion_logits(*answers)[mask].log_softmax(-1)
        if trace is None:
            trace = Trace(len(completion_ids), completion_ids.shape[1], logprobs[POLICY])
        row, time = mask.nonzero(as_tuple=True)
        where = (rows[row], time)
        mixed = law({role: logprobs[role] for role in law.roles})
        law_logprobs = _law_logprobs(mixed.logprobs, truncation, kept, where)
        write_tokens(trace, where, completion_ids[where], logprobs, mixed, law_logprobs, law_logprobs.exp())
    assert trace is not None  # `in_company` yields one chunk at least
    return trace


def rescored(
    rollout: Rollout,
    policy: NextToken,
    target: NextToken,
    law: Law,
    *,
    truncation: Truncation = Truncation(),
    pace: Pace = Pace(),
) -> Rollout:
    """Return the rollout with all columns by the models at hand; `behavior_logprobs` stays what it was drawn by.

    See `score_tokens` for the arguments. What q is to them is `recomputed_logprobs`.
    """
    trace = score_tokens(
        rollout.prompts,
        rollout.prompt_index,
        rollout.completion_ids,
        rollout.completion_mask,
        policy,
        target,
        law,
        truncation=truncation,
        kept=rollout.info.kept,
        pace=pace,
    )
    columns: dict[str, Any] = dict(trace.columns)
    return replace(rollout, recomputed_logprobs=columns.pop("behavior_logprobs"), **columns)


def _law_logprobs(
    mixture: Tensor, truncation: Truncation, kept: KeptSets | None, where: tuple[Tensor, Tensor]
) -> Tensor:
    if kept is None:
        return truncation(mixture)
    kept_mask = kept.mask_at(*where, mixture.shape[-1])
    return Truncation(truncation.temperature)(mixture).masked_fill(~kept_mask, -torch.inf).log_softmax(-1)
