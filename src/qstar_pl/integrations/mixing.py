"""From another engine's scores of π_θ and the logits of π_t to log q in the engine's shape."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel, NextToken
from qstar_pl.qstar import AlphaStrategy
from qstar_pl.rollout.law import POLICY, TARGET, Geometric, Mixed


class Step(NamedTuple):
    """What is known of the next token of n rows."""

    scores: Tensor
    """[n, width] log q, as wide as the engine's scores; −∞ at ids that the tokenizer does not have."""
    mixed: Mixed
    """log q [n, vocab], α and log Z [n]."""
    policy_logprobs: Tensor
    """[n, vocab]."""
    target_logprobs: Tensor
    """[n, vocab]."""


def mix(scores: Tensor, target_logits: Tensor, alpha: AlphaStrategy) -> Step:
    """Return q = π_θ^α π_t^(1−α)/Z of every row.

    Args:
        scores: [n, width] unnormalized log-probabilities of π_θ; columns from `vocab` on pad its embedding.
        target_logits: [n, vocab] of π_t.
        alpha: how α is chosen.

    """
    vocab = target_logits.shape[-1]
    policy = scores[:, :vocab].float().log_softmax(-1)
    target = target_logits.to(policy).log_softmax(-1)
    mixed = Geometric(alpha)({POLICY: policy, TARGET: target})
    wide = mixed.logprobs.to(scores.dtype)
    if scores.shape[-1] > vocab:
        wide = torch.nn.functional.pad(wide, (0, scores.shape[-1] - vocab), value=-torch.inf)
    return Step(wide, mixed, policy, target)


def check_width(width: int, target: NextToken) -> None:
    """Raise UserError unless scores of `width` ids can be of the vocabulary that π_t has.

    An embedding may be padded beyond the tokenizer's ids; how far those go is known with a tokenizer only.
    """
    vocab = target.vocab_size
    bare = isinstance(target, LanguageModel) and target.tokenizer is None
    if width == vocab or (width > vocab and not bare):
        return
    hint = "; with tokenizer=… the rows that only pad an embedding are left out" if bare else ""
    raise UserError(f"target must share the policy's vocabulary of {width} tokens, got {vocab}{hint}")
