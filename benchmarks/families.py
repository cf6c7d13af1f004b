"""Small random models of many architectures, and what each of them can do here: the table of docs/models.md."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

VOCAB = 32
_SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "embed_dim", "lru_width", "attention_hidden_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "multi_query_group_num", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "n_inner", "d_ff"), 64),
    **dict.fromkeys(("ffn_hidden_size", "shared_expert_intermediate_size", "moe_intermediate_size"), 32),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "num_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token"), 2),
    **dict.fromkeys(("head_dim", "mamba_headdim", "mamba_head_dim", "global_head_dim"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    "word_embed_proj_dim": 32,
    "sliding_window": 4,
}
"""What a small model has for whatever its configuration calls it; names that a family lacks are left out."""


def small_config(family: str, **own: Any) -> PretrainedConfig:
    """Return a small configuration; `own` fields are set beside or instead of the usual ones."""
    default = AutoConfig.for_model(family)
    known = {name: value for name, value in _SMALL.items() if name in default.to_dict()}
    ids = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    return AutoConfig.for_model(family, **{**known, **ids, **own})


def small_model(config: PretrainedConfig, seed: int = 0, scale: float = 0.3) -> PreTrainedModel:
    """Return a random model whose weights have standard deviation `scale`: its predictions are not flat."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for part in model.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=scale)
    return model.eval()
