"""A model with adapters as it is without them: the same weights, read a second way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from qstar_pl.models.freeze import eval_mode, freeze
from qstar_pl.models.row_adapters import Terms


class AdaptersOff(nn.Module):
    """Answers as an adapted model does without its adapters: in eval mode, without gradients, with caches of its own.

    The model is no submodule: its weights count, move, are sharded and are saved once, where they train. After every
    pass, also one that fails, adapters and modes are as they were; a pass between another one and its backward pass
    does not change the gradient.
    """

    def __init__(self, adapted: nn.Module) -> None:
        """Wrap a model, without a copy.

        Args:
            adapted: a Hugging Face model with peft's layers, none of which is merged.

        """
        super().__init__()
        # In tuples, where torch does not look for submodules.
        self._adapted = (adapted,)
        self._layers = tuple(part for part in adapted.modules() if hasattr(part, "get_base_layer"))
        freeze(self)

    @property
    def adapted(self) -> nn.Module:
        """The model with its adapters."""
        return self._adapted[0]

    @property
    def terms(self) -> Terms:
        """What layers add to what they say without the model's adapters: nothing."""
        return {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model says without its adapters."""
        with torch.no_grad(), eval_mode(self.adapted), _off(self._layers):
            return self.adapted(*args, **kwargs)

    def modules(self) -> Iterator[nn.Module]:  # type: ignore[override]
        """Yield the model's parts, for those who look what it is made of, or gather it where it is sharded.

        Walks through a parent, whose parts these are not, ask for `named_modules` and see this module alone.
        """
        return self.adapted.modules()

    def __getattr__(self, name: str) -> Any:
        """Return what the model has under the name: configuration, generation defaults, embeddings, dtype."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_adapted" not in self.__dict__:  # while it is being built or copied
                raise
            return getattr(self.adapted, name)


def without_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model as it is without its adapters; to its users it is a frozen model like others."""
    return cast("PreTrainedModel", AdaptersOff(model))


@contextmanager
def _off(layers: Iterable[nn.Module]) -> Iterator[None]:
    # Not peft's enable_adapters, which would also stop the adapters' gradients, and let all of them train afterwards.
    before = [(layer, layer._disable_adapters) for layer in layers]
    try:
        for layer, _ in before:
            layer._disable_adapters = True  # type: ignore[assignment]
        yield
    finally:
        for layer, disabled in before:
            layer._disable_adapters = disabled
