"""Pairs of random models in the shapes of real ones, that agree about as much as real ones do."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from on_gpu.context import Context
from qstar_pl.models import LanguageModel
from qstar_pl.types import PromptBatch

PROMPT = 16
QWEN = {  # Qwen2.5-1.5B
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
    "bos_token_id": None,
    "eos_token_id": None,
}
OUTPUTS = ("c_proj", "o_proj", "down_proj")
FAINT = 0.05
"""What layers behind the drafter's weigh, so that a small model can draft for a large one of random weights."""

Pair = tuple[LanguageModel, LanguageModel, LanguageModel]
"""π_θ, π_t, and a small model: the first two layers of π_θ."""


def gpt2(context: Context) -> Pair:
    """Return two models of GPT-2 124M's shape, float32."""
    config = AutoConfig.for_model("gpt2", bos_token_id=None, eos_token_id=None, initializer_range=0.08)
    if context.tiny:
        config.update({"n_layer": 3, "n_embd": 64, "n_head": 2, "vocab_size": 500})
    return _pair(config, context.device, torch.float32, "transformer.h", "transformer.ln_f")


def qwen(context: Context) -> Pair:
    """Return two models of Qwen2.5-1.5B's shape, bfloat16."""
    return _pair(qwen_config(context), context.device, torch.bfloat16, "model.layers", "model.norm")


def qwen_config(context: Context) -> AutoConfig:
    """Return the configuration."""
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    shape = {**QWEN, **small, "vocab_size": 700} if context.tiny else QWEN
    return AutoConfig.for_model("qwen2", **shape, initializer_range=0.05)


def random_model(config: AutoConfig, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """Return random weights, made where they will be."""
    torch.manual_seed(0)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def _pair(config: AutoConfig, device: str, dtype: torch.dtype, layers: str, norm: str) -> Pair:
    policy = random_model(config, device, dtype)
    policy.get_submodule(norm).get_parameter("weight").mul_(2.0)  # of about the entropy of a language model
    for layer in policy.get_submodule(layers)[2:]:
        for name, weight in layer.named_parameters():
            if weight.dim() > 1 and any(output in name for output in OUTPUTS):
                weight.mul_(FAINT)
    target = copy.deepcopy(policy)
    for weight in target.get_submodule(layers).parameters():
        if weight.dim() > 1:
            weight.mul_(1 + 0.1 * torch.randn_like(weight))
    small = copy.deepcopy(policy.config)
    small.num_hidden_layers = 2
    if getattr(small, "layer_types", None):
        small.layer_types = small.layer_types[:2]
    drafter = AutoModelForCausalLM.from_config(small, dtype=dtype).to(device).eval()
    drafter.load_state_dict(policy.state_dict(), strict=False)
    return LanguageModel(policy), LanguageModel(target), LanguageModel(drafter.requires_grad_(False))


def prompts(rows: int, vocab: int, device: str) -> PromptBatch:
    """Return prompts of PROMPT random tokens, without pads."""
    ids: Tensor = torch.randint(vocab, (rows, PROMPT), generator=torch.Generator().manual_seed(0)).to(device)
    return PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.arange(rows), ())


def megabytes(model: nn.Module) -> float:
    """Return the size of a model's weights."""
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
