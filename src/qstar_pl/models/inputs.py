"""What a Hugging Face model is fed, whatever the padding."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qstar_pl.errors import UserError
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


def learnt_positions(model: PreTrainedModel) -> int | None:
    """Return how many positions have an embedding of their own; None where positions are computed (rotary)."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    words = model.get_input_embeddings()
    tables = (m for m in model.modules() if isinstance(m, nn.Embedding) and m is not words)
    return limit if any(table.num_embeddings == limit for table in tables) else None


def check_length(model: PreTrainedModel, mask: Tensor) -> None:
    """Raise UserError if a sequence of `mask` [rows, length] is longer than the model has learnt positions for."""
    limit = learnt_positions(model)
    # The padded length costs no look at the device; only if it is too long do pads have to be told from tokens.
    if limit is not None and mask.shape[1] > limit and (longest := int(mask.sum(-1).max())) > limit:
        raise UserError(f"prompt and max_new_tokens must fit into the model's {limit} positions, got {longest}")
