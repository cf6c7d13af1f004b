"""Modules that do not learn, and modules that must not drop out for the moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M", bound="nn.Module")


def freeze(module: M) -> M:
    """Switch gradients off and eval mode on, for good: a parent's `.train()` no longer reaches the module.

    Returns the same module. π_init, π_t and rewards live inside the LightningModule whose `.train()` would otherwise
    switch their dropout on.
    """
    module.requires_grad_(False)
    module.eval()
    # A partial and not a closure, so that the module can still be copied and sent to another process.
    setattr(module, "train", partial(_stay_in_eval, module))  # noqa: B010 (mypy forbids assigning to a method)
    return module


def _stay_in_eval(module: M, mode: bool = True) -> M:
    return module


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Switch dropout off inside the block and leave every submodule's mode as it was found."""
    if not module.training:
        yield
        return
    # Part by part: `.eval()` and `.train()` would lose which parts were in eval mode before.
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
