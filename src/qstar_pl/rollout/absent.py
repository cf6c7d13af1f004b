"""What the model that did not take part in decoding says about the finished answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.divergence import divergence
from qstar_pl.rollout.law import Law
from qstar_pl.rollout.pace import Pace, in_company
from qstar_pl.rollout.trace import Trace
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import PromptBatch, Rollout

MAX_ELEMENTS = 2**25
"""Logits held at a time, over rows × time × vocabulary: 128 MiB in float32, a few times that with intermediates."""


def chunk_rows(rows: int, time: int, vocab: int) -> int:
    """Return how many rows' logits may be held at a time, at least 1."""
    return max(1, min(rows, MAX_ELEMENTS // max(1, time * vocab)))


def rows_by_length(mask: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """Yield row numbers, at most `size` at a time and short answers together, with the longest answer of them."""
    lengths = mask.sum(-1)
    # A single chunk is left in its order: there is nothing to gain.
    order = lengths.argsort(stable=True) if len(lengths) > size else torch.arange(len(lengths), device=mask.device)
    for rows in order.split(size):
        yield rows, max(1, int(lengths[rows].max()))


def fill_absent(
    trace: Trace,
    prompts: PromptBatch,
    prompt_index: Tensor,
    law: Law,
    truncation: Truncation,
    models: Mapping[str, NextToken],
    *,
    role: str,
    pace: Pace = Pace(),
    known: Callable[[tuple[Tensor, Tensor]], Tensor] | None = None,
) -> None:
    """Write the columns of `role`, a model that `law` does not need, exactly and in two forward passes, or in one.

    Both models read the answers once (the deciding one again, unless what it said at every position is still `known`:
    [n, vocab] at (rows, times)), in chunks of rows, as many on every process of the `pace`. On 48 tokens that is far
    cheaper than running both in lockstep.
    """
    # A law with both roles leaves no model absent.
    (leader,) = law.roles
    size = chunk_rows(len(trace.ids), trace.ids.shape[1], models[role].vocab_size)
    for rows, longest in in_company(rows_by_length(trace.mask, size), pace):
        mask = trace.mask[rows, :longest]
        answers = (prompts, prompt_index[rows], trace.ids[rows, :longest], mask)
        # [tokens, vocab]: pads are dropped before anything is normalized.
        logprobs = models[role].completion_logits(*answers)[mask].log_softmax(-1)
        row, time = mask.nonzero(as_tuple=True)
        # Places in the whole trace of the tokens that `[mask]` picked, in the same order.
        where = (rows[row], time)
        if known is None:
            law_logprobs = truncation(models[leader].completion_logits(*answers)[mask].log_softmax(-1))
        else:
            law_logprobs = known(where)
        trace.write(f"{role}_logprobs", where, logprobs.gather(-1, trace.ids[where].unsqueeze(-1)).squeeze(-1))
        trace.write_divergence(role, where, divergence(logprobs, law_logprobs, law_logprobs.exp()))


@torch.no_grad()
def divergence_along(rollout: Rollout, model: NextToken, other: NextToken) -> Tensor:
    """Return D(model‖other) [rows, time] of the next token at every position of finished answers, exact; 0 at pads.

    One forward pass of each model, in chunks of rows.
    """
    found = torch.zeros_like(rollout.behavior_logprobs)
    size = chunk_rows(len(rollout), rollout.completion_ids.shape[1], model.vocab_size)
    for rows, longest in rows_by_length(rollout.completion_mask, size):
        mask = rollout.completion_mask[rows, :longest]
        answers = (rollout.prompts, rollout.prompt_index[rows], rollout.completion_ids[rows, :longest], mask)
        logprobs, others = (one.completion_logits(*answers)[mask].log_softmax(-1) for one in (model, other))
        row, time = mask.nonzero(as_tuple=True)
        # `divergence` takes the law second: here `model` is q and `other` is p.
        found[rows[row], time] = divergence(others, logprobs, logprobs.exp()).kl.to(found.dtype)
    return found
