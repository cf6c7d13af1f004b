"""What a model and its tokenizer can do, found once, for loading, encoding, decoding, scoring and export."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary, ref

from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.context import Context, context_of, declared_context, window_of
from qstar_pl.models.endings import control_tokens, end_ids, turn_end_id
from qstar_pl.models.tokenizers import absent_ids, is_appended_pad, vocabulary_size


@dataclass(frozen=True)
class Capabilities:
    """Facts of one model behind one tokenizer."""

    family: str
    """transformers' `model_type`."""
    rows: int
    """Rows of the embedding."""
    vocab_size: int
    """Ids below this can be read and sampled, except `absent_ids`; rows beyond them pad the embedding."""
    absent_ids: tuple[int, ...]
    """Ids below `vocab_size` that the tokenizer has no token for: they have no probability."""
    eos_id: int | None
    """The tokenizer's EOS: ends a plain text."""
    turn_end_id: int | None
    """The token that the tokenizer's chat template writes behind an answer (it may be EOS); None: text, or nothing."""
    end_ids: tuple[int, ...]
    """Every id at which sampling stops, ascending: EOS, the end of turn, and the list of the generation defaults."""
    pad_id: int | None
    """What batches are padded with; never EOS. It may lie beyond the embedding: masks keep it from being read."""
    context: Context
    """The longest sequence."""
    window: int | None
    """Columns that the layers with the shortest sight look back; None: all layers see everything."""

    @classmethod
    def declared(
        cls, config: PretrainedConfig, generation: Any = None, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> Capabilities:
        """Return what the files of a model say; no weights are needed.

        Args:
            config: the model's configuration.
            generation: its generation defaults, if it has any.
            tokenizer: None: every row of the embedding is a token.

        Raises:
            UserError: if a token has no row in the embedding, or the model is not a decoder.

        """
        # Of a model that also reads images or sound, the language part.
        text = config.get_text_config()
        rows = int(text.vocab_size)
        check_decoder(config)
        if tokenizer is not None:
            _check_rows(tokenizer, rows)
        size = rows if tokenizer is None else min(rows, vocabulary_size(tokenizer))
        return cls(
            family=config.model_type,
            rows=rows,
            vocab_size=size,
            absent_ids=() if tokenizer is None else absent_ids(tokenizer),
            eos_id=None if tokenizer is None else tokenizer.eos_token_id,
            turn_end_id=None if tokenizer is None else turn_end_id(tokenizer),
            end_ids=end_ids(tokenizer, text, generation, size),
            pad_id=getattr(text, "pad_token_id", None) if tokenizer is None else tokenizer.pad_token_id,
            context=declared_context(text),
            window=window_of(text),
        )

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """Return what a loaded model can do; worked out again only when something has changed.

        Raises:
            UserError: as `declared` does.

        """
        generation = getattr(model, "generation_config", None)
        key = _state(model.config, generation, tokenizer)
        known = _KNOWN.get(model)
        if known is None or known[0] != key:
            # Only the loaded model shows how many rows of a table of positions are kept for pads.
            found = replace(cls.declared(model.config, generation, tokenizer), context=context_of(model))
            _KNOWN[model] = known = key, found
        return known[1]

    def ordinary_ids(self, count: int, tokenizer: PreTrainedTokenizerBase | None = None) -> list[int]:
        """Return `count` or fewer ids that stand for text, spread over the vocabulary."""
        special = {*self.absent_ids, *self.end_ids, self.pad_id}
        if tokenizer is not None:
            special |= set(tokenizer.convert_tokens_to_ids(sorted(control_tokens(tokenizer))))
        found = [i for i in range(self.vocab_size) if i not in special] or list(range(self.vocab_size))
        # Spread out: the first ids of a vocabulary are often bytes and single signs.
        return found[:: max(1, len(found) // count)][:count]

    @property
    def embedded_pad_id(self) -> int | None:
        """The pad's id if the embedding has a row for it, else None."""
        return self.pad_id if self.pad_id is not None and 0 <= self.pad_id < self.rows else None


_KNOWN: WeakKeyDictionary[PreTrainedModel, tuple[tuple[Any, ...], Capabilities]] = WeakKeyDictionary()


def _state(config: PretrainedConfig, generation: Any, tokenizer: PreTrainedTokenizerBase | None) -> tuple[Any, ...]:
    """Return what capabilities depend on and what may change after loading."""
    ends = tuple(str(getattr(source, "eos_token_id", None)) for source in (config.get_text_config(), generation))
    if tokenizer is None:
        return ends
    return (
        *ends,
        # Weak, so that what is known of a model does not keep a tokenizer alive.
        ref(tokenizer),
        len(tokenizer),
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        tokenizer.chat_template,
    )


def reads_before_it_answers(config: PretrainedConfig) -> bool:
    """Return whether a model is an encoder with a decoder, such as T5."""
    return bool(config.is_encoder_decoder)


def check_decoder(config: PretrainedConfig) -> None:
    """Raise UserError for an encoder with a decoder: its decoder alone loads, and continues nothing."""
    if reads_before_it_answers(config):
        raise UserError(f"model must be a causal language model, got {config.model_type}, an encoder and a decoder")


def _check_rows(tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    if vocabulary_size(tokenizer) <= rows:
        return
    beyond = {
        i: token
        for token, i in tokenizer.get_vocab().items()
        if i >= rows and not is_appended_pad(tokenizer, i) and i != tokenizer.pad_token_id
    }
    if beyond:
        first = min(beyond)
        raise UserError(
            f"tokenizer must have no token without a row in the model's embedding of {rows} rows, got "
            f"{beyond[first]!r} with id {first}"
            + (f" and {len(beyond) - 1} more" if len(beyond) > 1 else "")
            + "; resize the embedding or leave the token out"
        )
