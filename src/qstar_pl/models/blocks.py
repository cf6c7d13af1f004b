"""The transformer blocks of a model, and how they are executed: computed twice, or compiled.

Both replace a block's `forward`, and nothing else: names of weights, hooks of a sharding strategy, adapters inside and
checkpoints stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from qstar_pl.errors import UserError
from qstar_pl.models.compiling import check_backend, failures, reason


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """Return the transformer blocks of a Hugging Face model, by the class names that it lists in _no_split_modules."""
    names = set(getattr(module, "_no_split_modules", None) or ())
    # By every base: the class of a sharded block is derived from its own.
    return [part for part in module.modules() if any(base.__name__ in names for base in type(part).__mro__)]


def recompute_blocks(module: nn.Module) -> None:
    """Run each block's forward pass again in the backward pass, and keep only what lies between blocks.

    The gradient is the same to the bit, also with dropout, whose random numbers are drawn again.

    Raises:
        UserError: if transformers does not say what the model's blocks are.

    """
    for block in _named_blocks(module, "gradient_checkpointing must be false"):
        block.forward = partial(_recomputed, block.forward)


def compile_blocks(module: nn.Module, backend: str) -> None:
    """Compile each block by torch.compile, on its first pass; passes that continue a cache stay as they are.

    Args:
        module: model, or a wrapper around one.
        backend: one of torch.compiler.list_backends(None).

    Raises:
        UserError: if there is no such backend, or transformers does not say what the blocks are.

    """
    check_backend(backend)
    for block in _named_blocks(module, "torch_compile must be false"):
        block.forward = partial(_compiled, block.forward, torch.compile(block.forward, backend=backend), backend)


def _named_blocks(module: nn.Module, rule: str) -> list[nn.Module]:
    # Of a wrapper, such as a reward model, those of the models inside; a model's base model has the same ones again.
    blocks = list(dict.fromkeys(block for part in module.modules() for block in blocks_of(part)))
    if not blocks:
        raise UserError(f"{rule} for {type(module).__name__}, whose blocks transformers does not name, got true")
    return blocks


def _recomputed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # Nothing is kept without gradients, and a cache must not grow a second time.
    if not torch.is_grad_enabled() or _continues(args, kwargs):
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _compiled(
    plain: Callable[..., Any], compiled: Callable[..., Any], backend: str, /, *args: Any, **kwargs: Any
) -> Any:
    if _continues(args, kwargs):  # its length grows with every token
        return plain(*args, **kwargs)
    try:
        return compiled(*args, **kwargs)
    except failures() as error:
        raise UserError(
            f"torch_compile must be false, or another backend, where torch.compile cannot work, got {backend}: "
            f"{reason(error)}"
        ) from error


def _continues(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(value, Cache) for value in (*args, *kwargs.values()))
