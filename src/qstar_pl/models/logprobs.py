"""Log-probabilities of given answers, with gradient if wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from qstar_pl.models.inputs import fill_masked
from qstar_pl.models.next_token import NextToken
from qstar_pl.types import DemonstrationBatch, PromptBatch, Rollout


def completion_logprobs(
    model: NextToken, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
) -> Tensor:
    """Return log π(y_t | x, y_<t) [rows, time] in nats, 0 where `completion_mask` is False.

    Args:
        model: π.
        prompts: padded on the left.
        prompt_index: [rows], the prompt of every answer.
        completion_ids: [rows, time], padded on the right.
        completion_mask: [rows, time] bool.

    """
    logits = model.completion_logits(prompts, prompt_index, completion_ids, completion_mask)
    # log π(y) = logit(y) − logsumexp: unlike log_softmax, no second tensor [rows, time, vocab].
    return _picked(logits, logits.logsumexp(-1), completion_ids, completion_mask)


def rollout_logprobs(model: NextToken, rollout: Rollout, rows: Tensor | None = None) -> Tensor:
    """Return log π(y_t | x, y_<t) [rows, time] of a rollout's answers, or of those of the given row numbers."""
    index, ids, mask = rollout.prompt_index, rollout.completion_ids, rollout.completion_mask
    if rows is not None:
        index, ids, mask = index[rows], ids[rows], mask[rows]
    return completion_logprobs(model, rollout.prompts, index, ids, mask)


def demonstration_logprobs(model: NextToken, batch: DemonstrationBatch) -> Tensor:
    """Return log π(y_t | x, y_<t) [prompts, time] of demonstrations."""
    index = torch.arange(len(batch), device=batch.completion_ids.device)
    return completion_logprobs(model, batch.prompts, index, batch.completion_ids, batch.completion_mask)


def logits_to_logprobs_and_entropy(
    logits: Tensor, ids: Tensor, mask: Tensor, *, entropy_gradient: bool = True
) -> tuple[Tensor, Tensor]:
    """Return log π(y_t) and H(π) [rows, time] in nats from logits [rows, time, vocab], 0 where `mask` is False.

    Without `entropy_gradient` the entropy is a constant, and no probabilities are kept for a backward pass.
    """
    log_normalizer = logits.logsumexp(-1)
    logprobs = _picked(logits, log_normalizer, ids, mask)
    if not entropy_gradient:
        logits, log_normalizer = logits.detach(), log_normalizer.detach()
    return logprobs, _entropy(logits, log_normalizer, mask)


def _picked(logits: Tensor, log_normalizer: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    picked = logits.gather(-1, fill_masked(ids, mask).unsqueeze(-1)).squeeze(-1)
    # Pads have logits too, which may be anything: they are replaced, not multiplied by zero.
    return torch.where(mask, picked - log_normalizer, 0.0)


def _entropy(logits: Tensor, log_normalizer: Tensor, mask: Tensor) -> Tensor:
    probs = (logits - log_normalizer.unsqueeze(-1)).exp()
    # H = log Z − Σ p · logit; a logit of −inf has p = 0, and 0 · −inf would be NaN.
    mean_logit = (probs * logits.masked_fill(logits == -torch.inf, 0.0)).sum(-1)
    return torch.where(mask, log_normalizer - mean_logit, 0.0)
