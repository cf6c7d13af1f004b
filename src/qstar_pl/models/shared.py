"""Models that read and predict the policy's own tokens, under the same ids or others."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import token_permutation, vocabulary_difference


def check_vocabulary(source: ModelSource, tokenizer: PreTrainedTokenizerBase, argument: str) -> None:
    """Raise UserError, which names the user's `argument`, unless every id means the same to both and can be read."""
    difference = vocabulary_difference(tokenizer, source.tokenizer())
    if difference is not None:
        raise UserError(f"{argument} must share the policy's vocabulary, got {difference}")
    source.capabilities(tokenizer)  # raises if a token has no row in the embedding


def own_token_ids(source: ModelSource, tokenizer: PreTrainedTokenizerBase, argument: str) -> list[int] | None:
    """Return the source's id of each of the policy's tokens; None where every id means the same to both.

    Raises:
        UserError: naming the user's `argument`, unless both have the same token texts.

    """
    own = source.tokenizer()
    source.capabilities(own)  # raises if a token has no row in the embedding
    difference = vocabulary_difference(tokenizer, own)
    if difference is None:
        return None
    found = token_permutation(tokenizer, own)
    if found is None:
        raise UserError(f"{argument} must share the policy's vocabulary, got {difference}")
    return found
