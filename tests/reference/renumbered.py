"""The same model and tokenizer under other token ids."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def permutation(size: int, seed: int = 0) -> list[int]:
    """The new id of each old one; no id keeps its place by design, and few by chance."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()


def save_renumbered(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, new_ids: list[int]
) -> None:
    """Save both under ids of which old id i is `new_ids[i]`: rows of the embeddings move with their tokens."""
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    words = json.loads(file.read_text())
    words["model"]["vocab"] = {token: new_ids[i] for token, i in words["model"]["vocab"].items()}
    for token in words["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    words["post_processor"] = None
    file.write_text(json.dumps(words))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("added_tokens_decoder", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with torch.no_grad():
        order = torch.tensor(new_ids).argsort()
        layers = (model.get_input_embeddings(), model.get_output_embeddings())
        for weight in {layer.weight.data_ptr(): layer.weight.data for layer in layers}.values():  # they may be tied
            weight[: len(order)] = weight[: len(order)][order].clone()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        old = getattr(model.config, name, None)
        if isinstance(old, int) and old < len(new_ids):
            setattr(model.config, name, new_ids[old])
            setattr(model.generation_config, name, new_ids[old])
    model.save_pretrained(folder)
