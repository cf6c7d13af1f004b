"""Folders for Hugging Face, with all that a plain batched forward and `generate` need."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.files import open_weights
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.configure import set_pad
from qstar_pl.models.quiet import quiet
from qstar_pl.models.tokenizers import APPENDED_PAD, is_appended_pad


def write_language_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write a causal language model with its tokenizer; its generation defaults end where answers were trained to.

    A pad that `ensure_pad` appended is not written: the embedding has no row for it, and one more row would be a token
    that can be sampled. EOS pads instead; attention masks tell it from an answer's end.
    """
    capabilities = Capabilities.of(model, tokenizer)
    pad = capabilities.embedded_pad_id
    tokenizer = padded_by_eos(tokenizer) if pad is None else copy.deepcopy(tokenizer)
    defaults = model.generation_config
    if defaults is not None:
        ends = list(capabilities.end_ids)
        defaults.eos_token_id = ends[0] if len(ends) == 1 else ends or None
        defaults.pad_token_id = capabilities.eos_id if pad is None else pad
        try:
            defaults.validate(strict=True)
        except ValueError:  # a temperature or a top_p beside greedy decoding, which transformers reads but never writes
            defaults.do_sample = True
    tokenizer.init_kwargs["padding_side"] = "left"  # as `generate` needs it; only what is written here is read again
    with quiet():  # of bars over files that take no time
        model.save_pretrained(folder)
    open_weights(folder)
    tokenizer.save_pretrained(folder)


def write_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write a sequence classifier with its tokenizer.

    Its forward pass looks for the last token that is not the pad's id, so the pad must be a token of its own: one that
    was appended gets a row. The tokenizer pads on the right, where no text is moved: a plain forward counts positions
    from the first column.
    """
    pad = tokenizer.pad_token_id
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "right"
    if Capabilities.of(model, tokenizer).embedded_pad_id is None:
        model.resize_token_embeddings(pad + 1, mean_resizing=False)
        with torch.no_grad():
            # Any value would do: pads stand behind the text, where no token of it looks.
            model.get_input_embeddings().weight[pad].zero_()
    set_pad(model.config, pad)
    with quiet():  # of bars over files that take no time
        model.save_pretrained(folder)
    open_weights(folder)
    tokenizer.save_pretrained(folder)


def padded_by_eos(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a copy whose pad is EOS, without the token that `ensure_pad` appended."""
    plain = copy.deepcopy(tokenizer)
    if is_appended_pad(tokenizer, tokenizer.pad_token_id):
        backend = getattr(plain, "_tokenizer", None)
        if isinstance(backend, Tokenizer):
            # The Rust tokenizer cannot forget a token: it is built anew without it.
            described = json.loads(backend.to_str())
            described["added_tokens"] = [t for t in described["added_tokens"] if t["content"] != APPENDED_PAD]
            plain._tokenizer = Tokenizer.from_str(json.dumps(described))
        else:
            plain._added_tokens_decoder.pop(tokenizer.pad_token_id, None)
            plain._added_tokens_encoder.pop(APPENDED_PAD, None)
    plain.pad_token = plain.eos_token
    return plain
