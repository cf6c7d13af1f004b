"""One token per row from one uniform number per row."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256


def inverse_cdf(probs: Tensor, uniforms: Tensor) -> Tensor:
    """Return the first token whose cumulative probability exceeds the row's uniform number.

    Two levels: the sums of blocks of tokens pick a block, the tokens of that block pick the token, both accumulated in
    float64 from the float32 probabilities. A single float32 running sum over 50257 tokens rounds away tokens below
    6e-8; a float64 one over all of them costs several times this.

    Args:
        probs: [rows, vocab] ≥ 0, at least one positive per row; need not sum to 1.
        uniforms: [rows] float64 in [0, 1), scaled by the row's sum.

    Returns:
        [rows] int64 < vocab, never a token of probability 0; of a row with NaN any token, for the caller to refuse.

    """
    vocab = probs.shape[-1]
    whole = vocab - vocab % BLOCK
    sums = probs[:, :whole].unflatten(-1, (-1, BLOCK)).sum(-1) if whole else probs[:, :0]
    if whole < vocab:
        sums = torch.cat([sums, probs[:, whole:].sum(-1, keepdim=True)], dim=-1)
    # Given the block, what is left of the uniform number is uniform again and picks the token in it.
    block, rest = _search(sums.double(), uniforms)
    # [rows, BLOCK]; the last block may reach beyond the vocabulary, where masses are 0.
    positions = block.unsqueeze(-1) * BLOCK + torch.arange(min(BLOCK, vocab), device=probs.device)
    inside = probs.gather(-1, positions.clamp_max(vocab - 1)).double().masked_fill_(positions >= vocab, 0.0)
    token, _ = _search(inside, rest)
    # Only a row with NaN can point beyond the vocabulary.
    return (block * BLOCK + token).clamp_max(vocab - 1)


def _search(masses: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of the mass that `uniforms` falls into, and how far into it, in [0, 1)."""
    cumulative = masses.cumsum(-1)
    point = uniforms * cumulative[:, -1]
    # `> point` and `> 0` and not searchsorted: rounding can lift `point` to the total (no mass would be left beyond
    # it), and a parallel running sum need not be monotone to the last digit.
    beyond = (cumulative > point.unsqueeze(-1)) & (masses > 0)
    first = beyond.int().argmax(-1)
    # Where no mass lies beyond, the last positive one is taken.
    last = masses.shape[-1] - 1 - (masses > 0).int().flip(-1).argmax(-1)
    index = torch.where(beyond.any(-1), first, last)
    mass = masses.gather(-1, index.unsqueeze(-1)).squeeze(-1)
    before = cumulative.gather(-1, index.unsqueeze(-1)).squeeze(-1) - mass
    return index, ((point - before) / mass).clamp_(0.0, 1.0)
