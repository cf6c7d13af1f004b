"""Passes of a GPT-2 by the short way: the same bits as by transformers' own forward."""

import itertools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, StaticCache
from transformers.pytorch_utils import Conv1D

from qstar_pl.models.gpt2_steps import GPT2Steps
from qstar_pl.models.reading import Reader


def model(**options: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=90, n_positions=40, n_embd=32, n_layer=3, n_head=4, **options)
    found = GPT2LMHeadModel(config).eval()
    for parameter in found.parameters():  # biases and gains of their own
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found


def half() -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16)


@torch.no_grad()
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 33])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("options", [{}, {"scale_attn_by_inverse_layer_idx": True, "n_inner": 56}])
@pytest.mark.parametrize("precision", [nullcontext, half])
def test_every_logit_and_the_cache_have_the_same_bits(
    frozen: bool, rows: int, padded: bool, options: dict[str, Any], precision: Any
) -> None:
    own = model(**options).requires_grad_(not frozen)
    steps = GPT2Steps.of(own)
    assert steps is not None
    ids = torch.randint(0, 90, (rows, 20))
    mask = torch.ones(rows, 20, dtype=torch.bool)
    if padded:
        mask[:, :3] = torch.arange(3) >= torch.arange(rows).unsqueeze(-1) % 4
    positions = (mask.long().cumsum(-1) - 1).clamp_min(0)
    ends = [6, 7, 8, 11, 12, 20]  # a prompt, then one token or several
    with precision():
        arguments = {"attention_mask": mask[:, :6], "position_ids": positions[:, :6]}
        arguments |= Reader(own).last(1, ids[:, :6])
        said = own(ids[:, :6], use_cache=True, **arguments)
        assert steps.fits(None)
        logits, cache = steps.begin(ids[:, :6], mask[:, :6] if padded else None, positions[:, :6])
        assert torch.equal(logits, said.logits[:, -1:])
        for start, end in itertools.pairwise(ends):
            here, seen = slice(start, end), mask[:, :end] if padded else None
            arguments = {"attention_mask": seen, "position_ids": positions[:, here]}
            wanted = own(ids[:, here], use_cache=True, past_key_values=said.past_key_values, **arguments).logits
            assert steps.fits(cache)
            assert torch.equal(steps.step(ids[:, here], seen, positions[:, here], cache), wanted)
    for one, other in zip(said.past_key_values.layers, cache.layers, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)


def hooked() -> GPT2LMHeadModel:
    found = model()
    found.transformer.h[1].mlp.register_forward_hook(lambda *_: None)
    return found


def adapted() -> GPT2LMHeadModel:
    found = model()
    found.transformer.h[0].attn.c_attn = torch.nn.Linear(32, 96)
    return found


@pytest.mark.parametrize(
    "other", [hooked, adapted, lambda: model(activation_function="gelu"), lambda: model(attn_implementation="eager")]
)
def test_what_is_not_as_transformers_made_it_keeps_its_own_forward(other: Any) -> None:
    assert GPT2Steps.of(other()) is None


def test_a_class_with_another_forward_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own = model()
    for part in (GPT2LMHeadModel, torch.nn.LayerNorm, Conv1D):
        with monkeypatch.context() as patch:
            patch.setattr(part, "forward", lambda *_, **__: None)
            assert GPT2Steps.of(own) is None
        assert GPT2Steps.of(own) is not None


def test_gradients_and_other_caches_go_the_long_way() -> None:
    own = model()
    cache, steps = own(torch.tensor([[1, 2]]), use_cache=True).past_key_values, GPT2Steps.of(own)
    assert steps is not None
    assert not steps.fits(None)
    assert not steps.fits(cache)
    with torch.no_grad():
        assert steps.fits(None)
        assert steps.fits(cache)
        assert not steps.fits(StaticCache(own.config, max_cache_len=8))
