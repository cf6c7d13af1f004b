"""What a Hugging Face model is fed, whatever the padding."""

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.models.context import Context
from qstar_pl.models.padding import LEAST_ROWS
from qstar_pl.types import PromptBatch


def fill_masked(ids: Tensor, mask: Tensor) -> Tensor:
    """Return `ids` with 0 where `mask` is False: a pad token may have an id that the embedding has no row for."""
    return ids.masked_fill(~mask, 0)


def position_ids(mask: Tensor) -> Tensor:
    """Return the position of every token among those that count; without it, left pads would shift a prompt.

    Args:
        mask: [rows, length] bool.

    Returns:
        [rows, length] int64, 0 for the pads before the first token.

    """
    return (mask.long().cumsum(-1) - 1).clamp_min_(0)


def join(
    prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return ids and mask [rows, plen + time] of prompts followed by completions; row i continues `prompt_index[i]`."""
    ids = torch.cat([prompts.prompt_ids[prompt_index], completion_ids], dim=1)
    mask = torch.cat([prompts.prompt_mask[prompt_index], completion_mask], dim=1)
    return fill_masked(ids, mask), mask


def last_position(mask: Tensor) -> Tensor:
    """Return the index [rows] of the last True of every row; 0 for a row without any."""
    steps = torch.arange(mask.shape[-1], device=mask.device)
    return torch.where(mask, steps, 0).amax(-1)


def pack(ids: Tensor, mask: Tensor) -> Tensor:
    """Return the tokens of every row shifted to its beginning [rows, longest], zeros behind them."""
    # Stable: tokens (0) come before pads (1), each in the order in which they stood.
    order = (~mask).long().argsort(dim=-1, stable=True)
    longest = int(mask.sum(-1).max())
    return fill_masked(ids, mask).gather(-1, order)[:, :longest]


def unpack(values: Tensor, mask: Tensor, last: int | None = None) -> Tensor:
    """Return what a model says of packed rows, where the tokens stand in `mask`.

    Args:
        values: [rows, longest, …] of packed rows.
        mask: [rows, length] bool, before they were packed.
        last: of how many columns, from the right; None: all.

    Returns:
        [rows, last, …]; where `mask` is False, what belongs to the token before.

    """
    # Packing moved a row's n-th token to column n, which is its position.
    index = position_ids(mask)[:, -(last or mask.shape[1]) :]
    return values[torch.arange(len(index), device=index.device).unsqueeze(-1), index]


def check_length(context: Context, mask: Tensor) -> None:
    """Raise UserError if a sequence of `mask` [rows, length] is longer than the model's context."""
    # The padded length costs no look at the device; only if it is too long do pads have to be told from tokens.
    if context.limit is not None and mask.shape[1] > context.limit:
        check_tokens(context, int(mask.sum(-1).max()))


def check_tokens(context: Context, tokens: int) -> None:
    """Raise UserError if a sequence of `tokens` tokens is longer than the model's context."""
    if context.limit is not None and tokens > context.limit:
        raise UserError(f"prompt and answer must fit into the model's {context.limit} {context.reason}, got {tokens}")


def read_by_head(count: int, ids: Tensor) -> int:
    """Return how many of the last columns of `ids` [rows, columns] the output head must read to know those `count`.

    More than asked for, where that would be a product of fewer than `LEAST_ROWS` rows.
    """
    return min(ids.shape[1], max(count, -(-LEAST_ROWS // len(ids))))
