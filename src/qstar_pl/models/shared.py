"""Models that read and predict the policy's own token ids."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import vocabulary_difference


def check_vocabulary(source: ModelSource, tokenizer: PreTrainedTokenizerBase, argument: str) -> None:
    """Raise UserError, which names the user's `argument`, unless every id means the same to both and can be read."""
    difference = vocabulary_difference(tokenizer, source.tokenizer())
    if difference is not None:
        raise UserError(f"{argument} must share the policy's vocabulary, got {difference}")
    source.capabilities(tokenizer)
