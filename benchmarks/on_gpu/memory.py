"""Memory and time of two models that share their weights, beside two copies: 1.5B parameters and adapters."""

from __future__ import annotations

import copy
import gc
from functools import partial

import torch

from on_gpu.context import Context
from on_gpu.decoding import bare
from on_gpu.models import megabytes, prompts, qwen_config, random_model
from qstar_pl.models import LanguageModel
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.samplers import GeometricSampler

ROWS, TOKENS = 8, 32


def run(context: Context) -> None:
    """Draw from q* of a base and the same base with adapters, held once and held twice."""
    from peft import LoraConfig, get_peft_model

    dtype = torch.float32 if context.tiny else torch.bfloat16
    base = random_model(qwen_config(context), context.device, dtype)
    tokens = 4 if context.tiny else TOKENS
    vocab = LanguageModel(base).vocab_size
    batch = prompts(ROWS, vocab, context.device)
    given = torch.randint(vocab, (2 * ROWS, tokens), generator=torch.Generator().manual_seed(1)).to(context.device)
    repeats = 1 if context.tiny else 3
    wide = prompts(2 * ROWS, vocab, context.device)
    one_s = context.seconds(lambda: bare((LanguageModel(base),), wide, given), repeats)
    context.record("one bare forward of 16 rows", ms_per_token=1e3 * one_s / tokens)
    twin: LanguageModel | None = LanguageModel(copy.deepcopy(base))
    with torch.device(context.device):
        config = LoraConfig(r=16, lora_alpha=32, task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
        adapted = get_peft_model(base, config).get_base_model().eval()
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    policy = LanguageModel(adapted)
    sampler = GeometricSampler(max_new_tokens=tokens)
    for held in ("twice", "once"):
        context.need(20)
        target = twin if twin is not None else LanguageModel(without_adapters(adapted))
        twin = None
        _reset(context)
        spent = context.seconds(partial(sampler.draw, batch, policy, target, samples=1, seed=0), repeats)
        peak = torch.cuda.max_memory_allocated() / 2**20 if context.device == "cuda" else float("nan")
        context.record(
            f"weights held {held}",
            peak_mib=peak,
            weights_mib=megabytes(adapted) * (2 if held == "twice" else 1),
            ms_per_token=1e3 * spent / tokens,
            times_one_forward=spent / one_s,
        )


def _reset(context: Context) -> None:
    gc.collect()
    if context.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
