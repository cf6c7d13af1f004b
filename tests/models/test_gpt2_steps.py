"""Single tokens of a GPT-2 by the short way: the same bits as by transformers' own forward."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from qstar_pl.models.gpt2_steps import GPT2Steps


def model(**options: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=90, n_positions=40, n_embd=32, n_layer=3, n_head=4, **options)
    found = GPT2LMHeadModel(config).eval()
    for parameter in found.parameters():  # biases and gains of their own
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 5, 33])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("options", [{}, {"scale_attn_by_inverse_layer_idx": True, "n_inner": 56}])
def test_every_logit_and_the_cache_have_the_same_bits(rows: int, padded: bool, options: dict[str, Any]) -> None:
    own = model(**options)
    steps = GPT2Steps.of(own)
    assert steps is not None
    ids = torch.randint(0, 90, (rows, 20))
    mask = torch.ones(rows, 20, dtype=torch.bool)
    if padded:
        mask[:, :3] = torch.arange(3) >= torch.arange(rows).unsqueeze(-1) % 4
    positions = (mask.long().cumsum(-1) - 1).clamp_min(0)
    caches = [
        own(ids[:, :6], attention_mask=mask[:, :6], position_ids=positions[:, :6], use_cache=True).past_key_values
        for _ in range(2)
    ]
    for column in range(6, 20):
        here, seen = slice(column, column + 1), mask[:, : column + 1] if padded else None
        arguments = {"attention_mask": seen, "position_ids": positions[:, here], "past_key_values": caches[0]}
        wanted = own(ids[:, here], use_cache=True, **arguments).logits
        assert steps.fits(ids[:, here], caches[1])
        assert torch.equal(steps.step(ids[:, here], seen, positions[:, here], caches[1]), wanted)
    for one, other in zip(*(cache.layers for cache in caches), strict=True):
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


def test_several_tokens_and_gradients_go_the_long_way() -> None:
    own = model()
    cache, steps = own(torch.tensor([[1, 2]]), use_cache=True).past_key_values, GPT2Steps.of(own)
    assert steps is not None
    assert not steps.fits(torch.tensor([[3]]), cache)
    with torch.no_grad():
        assert not steps.fits(torch.tensor([[3, 4]]), cache)
        assert steps.fits(torch.tensor([[3]]), cache)
