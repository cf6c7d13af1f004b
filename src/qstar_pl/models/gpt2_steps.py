"""A GPT-2's passes with a cache, without what transformers does around each operation.

A small model's pass is mostly overhead: of 2.8 ms for a token of 16 rows of the tiny policy, more than half goes into
masks, hooks, output classes and the look-up of options. Here are the same operations on the same tensors in the same
order, so that all results are the same to the last bit; whatever is not exactly such a model keeps to its own forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.modules import module as torch_module
from transformers import GPT2LMHeadModel
from transformers.activations import NewGELUActivation
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention, GPT2Block, GPT2Model
from transformers.pytorch_utils import Conv1D

from qstar_pl.models.inputs import read_by_head
from qstar_pl.models.lean_gelu import LeanGELU, gelu

PARTS = (
    *(GPT2LMHeadModel, GPT2Model, GPT2Block, GPT2Attention, GPT2MLP, NewGELUActivation, LeanGELU, Conv1D),
    *(nn.ModuleList, nn.LayerNorm, nn.Embedding, nn.Linear, nn.Dropout),
)
_FORWARDS = {part: part.forward for part in PARTS}
"""What these classes do as they are imported; whoever puts another forward into a class wants that one."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Block:
    """The layers of a block, each a function of [rows, …, width]."""

    before_attention: Layer
    keys: Layer
    """Query, key and value side by side."""
    mix: Layer
    before_mlp: Layer
    widen: Layer
    narrow: Layer
    heads: int
    scale: float


class GPT2Steps:
    """Reads prompts, and tokens behind what a model's cache holds."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        """Take the model's layers as they are now."""
        body = model.transformer
        self._config = model.config
        self._tokens, self._positions = body.wte.weight, body.wpe.weight
        self._blocks = [_block(block) for block in body.h]
        self._last = _norm(body.ln_f)
        self._head = model.lm_head.weight

    @classmethod
    def of(cls, model: nn.Module) -> GPT2Steps | None:
        """Return the steps of a model; None if anything about it is not as transformers made it.

        Sharded and compiled models, adapters, and whoever hooks into a layer want the model's own forward.
        """
        if not isinstance(model, GPT2LMHeadModel):
            return None
        config = model.config
        plain = config._attn_implementation == "sdpa" and not config.add_cross_attention
        hooked = any(getattr(torch_module, f"_global{name}") for name in _HOOKS)
        parts = list(model.modules())
        linear_parts = [part for part in parts if isinstance(part, nn.Linear)]
        plain = plain and not hooked and linear_parts == [model.lm_head] and model.lm_head.bias is None
        return cls(model) if plain and all(map(_is_plain, parts)) else None

    def fits(self, cache: Any) -> bool:
        """Return whether tokens behind what a cache holds can be read here; None: a new one."""
        if torch.is_grad_enabled():
            return False
        return cache is None or (
            type(cache) is DynamicCache and all(type(part) is DynamicLayer for part in cache.layers)
        )

    def begin(self, ids: Tensor, mask: Tensor | None, positions: Tensor) -> tuple[Tensor, DynamicCache]:
        """Read prompts; return the logits [rows, 1, vocabulary] behind them, and a cache of their columns.

        Args:
            ids: [rows, columns].
            mask: [rows, columns] bool; None: nothing is padded.
            positions: [rows, columns].

        """
        cache = DynamicCache(config=self._config)
        state = self._read(ids, mask, positions, cache)
        last = self._last(state[:, -read_by_head(1, ids) :])
        return linear(last, self._head)[:, -1:], cache

    def step(self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Return the logits [rows, k, vocabulary] behind k more tokens of every row, and add them to the cache.

        Args:
            ids: [rows, k].
            mask: [rows, columns + k] bool; None: nothing is padded.
            positions: [rows, k].
            cache: of `columns` columns.

        """
        return linear(self._last(self._read(ids, mask, positions, cache)), self._head)

    def _read(self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Return the last block's output [rows, k, width] at columns that the cache takes in."""
        state = torch.embedding(self._tokens, ids) + torch.embedding(self._positions, positions)
        past, count = cache.get_seq_length(), ids.shape[1]
        seen = _seen(mask, past, count, ids.device)
        causal = count > 1 and seen is None
        for block, layer in zip(self._blocks, cache.layers, strict=True):
            query, key, value = block.keys(block.before_attention(state)).split(state.shape[-1], dim=2)
            shape = (len(ids), count, block.heads, -1)
            key, value = layer.update(key.view(shape).transpose(1, 2), value.view(shape).transpose(1, 2))
            query = query.view(shape).transpose(1, 2)
            options: dict[str, Any] = {"attn_mask": seen, "scale": block.scale, "is_causal": causal}
            read = scaled_dot_product_attention(query, key, value, **options)
            state = block.mix(read.transpose(1, 2).reshape(state.shape)) + state
            state = state + block.narrow(gelu(block.widen(block.before_mlp(state))))
        return state


def _seen(mask: Tensor | None, past: int, count: int, device: torch.device) -> Tensor | None:
    """Return which columns each of `count` new ones sees behind `past` read ones: [rows or 1, 1, count, past + count].

    None where attention needs no mask: one token sees every column, and a whole prompt those up to its own.
    """
    padded = mask is not None and not bool(mask.all())
    if not padded and (count == 1 or past == 0):
        return None
    seen = mask[:, None, None, :] if mask is not None else None
    if count == 1:
        return seen
    columns = torch.arange(past + count, device=device)
    causal = columns <= columns[past:, None]
    return causal[None, None] if seen is None else causal & seen


def _is_plain(part: nn.Module) -> bool:
    """Return whether a module does what its class says, and nothing besides."""
    if _FORWARDS.get(type(part)) is not type(part).forward:
        return False
    if part._compiled_call_impl is not None or "forward" in vars(part):
        return False
    whole = all(type(one) is nn.Parameter for one in part._parameters.values() if one is not None)
    return whole and not any(getattr(part, name) for name in _HOOKS)


def _block(block: GPT2Block) -> _Block:
    attention, mlp = block.attn, block.mlp
    return _Block(
        before_attention=_norm(block.ln_1),
        keys=_projection(attention.c_attn),
        mix=_projection(attention.c_proj),
        before_mlp=_norm(block.ln_2),
        widen=_projection(mlp.c_fc),
        narrow=_projection(mlp.c_proj),
        heads=attention.num_heads,
        scale=attention.scaling,
    )


def _norm(norm: nn.LayerNorm) -> Layer:
    shape, weight, bias, eps = list(norm.normalized_shape), norm.weight, norm.bias, norm.eps
    return lambda values: torch.layer_norm(values, shape, weight, bias, eps)


def _projection(layer: Any) -> Layer:
    weight, bias = layer.weight, layer.bias
    width = weight.shape[1]

    def project(values: Tensor) -> Tensor:
        return torch.addmm(bias, values.view(-1, values.shape[-1]), weight).view(*values.shape[:-1], width)

    return project
