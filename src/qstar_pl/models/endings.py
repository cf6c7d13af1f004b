"""Which tokens end an answer: the tokenizer's EOS, what the model's files call one, a chat template's end of turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qstar_pl.models.templates import bounded

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

ANSWER = "answer"
"""A text that no template changes, so that what the template writes behind it can be found."""


def turn_end_id(tokenizer: PreTrainedTokenizerBase, chat_template: str | None = None) -> int | None:
    """Return the token that a chat template writes right behind an answer; None if that is text, or nothing.

    Args:
        tokenizer: whose tokens count; its own template is asked unless another is given.
        chat_template: another template, in Jinja.

    """
    if not (chat_template or tokenizer.chat_template):
        return None
    messages = [{"role": "user", "content": "question"}, {"role": "assistant", "content": ANSWER}]
    try:
        with bounded(str(chat_template or tokenizer.chat_template)):
            text = str(tokenizer.apply_chat_template(messages, chat_template=chat_template, tokenize=False))
    except Exception:  # a template is a program of its own and raises what it likes; rendering data reports it
        return None
    behind = text.rpartition(ANSWER)[2].lstrip()
    tokens = [token for token in control_tokens(tokenizer) if behind.startswith(token)]
    # One control token's text may begin another's: the longest is the one that was written.
    return int(tokenizer.convert_tokens_to_ids(max(tokens, key=len))) if tokens else None


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the tokens that ordinary text is never split into: special ones, and those added to the vocabulary."""
    return {*map(str, tokenizer.all_special_tokens), *map(str, tokenizer.added_tokens_decoder.values())} - {""}


def end_ids(
    tokenizer: PreTrainedTokenizerBase | None, config: PretrainedConfig, generation: Any, vocab_size: int
) -> tuple[int, ...]:
    """Return every id below `vocab_size` at which sampling stops, in ascending order.

    Args:
        tokenizer: its EOS and its chat template's end of turn count; None: only what the model's files say does.
        config: of the text model; an id that is no more than its class's default, and text to the tokenizer, does not
            count (a Llama's 2 behind another family's tokenizer).
        generation: the generation defaults, if there are any.
        vocab_size: number of ids.

    """
    named = {i for source in (config, generation) for i in _ids(getattr(source, "eos_token_id", None))}
    if tokenizer is not None:
        named -= _defaults(config) - set(tokenizer.convert_tokens_to_ids(sorted(control_tokens(tokenizer))))
        named |= {*_ids(tokenizer.eos_token_id), *_ids(turn_end_id(tokenizer))}
    return tuple(sorted(i for i in named if 0 <= i < vocab_size))


def add_ends(model: PreTrainedModel, ids: Iterable[int]) -> None:
    """Let answers end at `ids` too: in the model's generation defaults, which sampling and export read."""
    defaults = getattr(model, "generation_config", None)
    if defaults is None:
        return
    known = list(_ids(defaults.eos_token_id))
    if new := [i for i in ids if i not in known]:
        defaults.eos_token_id = [*known, *new]


def _defaults(config: PretrainedConfig) -> set[int]:
    try:
        return set(_ids(type(config)().eos_token_id))
    except Exception:  # a class that must be given something
        return set()


def _ids(value: Any) -> Iterable[int]:
    return value if isinstance(value, Iterable) else [] if value is None else [value]
