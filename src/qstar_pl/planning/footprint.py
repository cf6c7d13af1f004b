"""The sizes of one model, and what its forward pass keeps, found without allocating any of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from qstar_pl.models.blocks import blocks_of
from qstar_pl.models.context import make_room


@dataclass(frozen=True)
class Footprint:
    """Sizes of one model."""

    parameters: int
    """Number of parameters; tied ones count once."""
    parameter_bytes: int
    """Bytes of all parameters, as stored."""
    trainable: int
    """Parameters that an optimizer moves; of a model with adapters, theirs alone."""
    trainable_bytes: int
    """Bytes of the parameters that train, as stored."""
    largest_bytes: int
    """Bytes of the largest parameter that trains, usually the embedding; 0 if none does."""
    block_parameters: int
    """Number of parameters in the largest unit that FSDP2 gathers at once."""
    layers: int
    hidden: int
    vocab: int
    cache_bytes_per_token: int
    """Keys and values of one token in all layers, in the parameters' precision."""


def footprint(model: PreTrainedModel) -> Footprint:
    """Return the sizes of a model, which may be on the meta device."""
    config = model.config.get_text_config()
    # With grouped-query attention, fewer heads have keys and values; some models set a head's width independently.
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    parameters = list(model.parameters())
    blocks = [sum(p.numel() for p in block.parameters()) for block in blocks_of(model)]
    learns = any(p.requires_grad for p in parameters)
    total = sum(p.numel() for p in parameters)
    return Footprint(
        parameters=total,
        parameter_bytes=sum(p.numel() * p.element_size() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        trainable_bytes=sum(p.numel() * p.element_size() for p in parameters if p.requires_grad),
        largest_bytes=max(p.numel() * p.element_size() for p in parameters if p.requires_grad) if learns else 0,
        # What lies outside of all blocks (embeddings, last norm, head) is one unit, the root.
        block_parameters=max([*blocks, total - sum(blocks)]),
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        vocab=int(config.vocab_size),
        # 2: keys and values.
        cache_bytes_per_token=2 * int(config.num_hidden_layers) * heads * width * parameters[0].element_size(),
    )


def language_models(module: nn.Module) -> list[PreTrainedModel]:
    """Return the outermost Hugging Face models in a module."""
    if isinstance(module, PreTrainedModel):
        return [module]
    return [model for child in module.children() for model in language_models(child)]


@dataclass(frozen=True)
class Activations:
    """Bytes that a forward pass keeps for its backward pass."""

    block: int
    """One transformer block, all that it keeps."""
    between: int
    """The hidden states between two blocks: all that is kept per block under activation checkpointing."""
    rest: int
    """Everything outside of the blocks: embeddings, the last norm and the output head, without its logits."""


def activations(model: PreTrainedModel, rows: int, length: int, answer: int, dtype: torch.dtype) -> Activations:
    """Return what a pass over `rows` sequences keeps, by running the architecture with one and with two blocks.

    torch's fake tensors have shapes but no memory, so a pass over them shows which tensors autograd would save, for any
    architecture.

    Args:
        model: a causal language model.
        rows: sequences.
        length: tokens of each, prompt and answer.
        answer: number of positions at which logits are computed.
        dtype: of the computation.

    """
    # saved(n blocks) = rest + n · block, so block = saved(2) − saved(1) and rest = 2 · saved(1) − saved(2).
    one, two = (_saved_bytes(model, layers, rows, length, answer, dtype) for layers in (1, 2))
    hidden = int(model.config.get_text_config().hidden_size)
    return Activations(block=two - one, between=rows * length * hidden * dtype.itemsize, rest=2 * one - two)


def _saved_bytes(model: PreTrainedModel, layers: int, rows: int, length: int, answer: int, dtype: torch.dtype) -> int:
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):  # must be as long as there are layers
        text.layer_types = text.layer_types[:layers]
    make_room(text, length)
    with FakeTensorMode(allow_non_fake_inputs=True):
        small = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation=model.config._attn_implementation
        ).eval()
        # By storage: autograd also saves weights, which are not activations, and views that share memory.
        own = {parameter.untyped_storage()._cdata for parameter in small.parameters()}
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in own:
                kept[storage._cdata] = storage
            return tensor

        ids = torch.zeros(rows, length, dtype=torch.long)
        mask = torch.zeros(rows, 1, length, length, dtype=dtype)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            small(input_ids=ids, attention_mask=mask, position_ids=ids, use_cache=False, logits_to_keep=answer)
        return sum(storage.nbytes() for storage in kept.values())
