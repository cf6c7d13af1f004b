"""Where the weights of a model go while it is loaded: by default to this process's memory.

A context, not an argument of `ModelSource.load`: users' own targets, rewards and samplers load their models themselves
and need not know that they are sharded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import PreTrainedModel


class Placement(ABC):
    """What a sharding strategy does with each model that a `ModelSource` loads."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """This process builds models without weights (on the meta device), since another one loads them."""

    @abstractmethod
    def place(self, model: PreTrainedModel) -> PreTrainedModel:
        """Spread the weights over the processes, all of which call; return the model with this process's part."""


_PLACEMENT: ContextVar[Placement | None] = ContextVar("placement", default=None)


@contextmanager
def placing(placement: Placement | None) -> Iterator[None]:
    """Let `placement` take every model that is loaded inside the block; None leaves them where they are."""
    token = _PLACEMENT.set(placement)
    try:
        yield
    finally:
        _PLACEMENT.reset(token)


def empty() -> bool:
    """Return whether weights come from elsewhere: then only a model's structure is to be built."""
    placement = _PLACEMENT.get()
    return placement is not None and placement.empty


def place(model: PreTrainedModel) -> PreTrainedModel:
    """Hand a loaded model to the placement in force, if there is one."""
    placement = _PLACEMENT.get()
    return model if placement is None else placement.place(model)


def in_parts(model: nn.Module) -> bool:
    """Return whether some parameters are spread over processes now: then a forward pass is a meeting of all of them."""
    # Part by part: a model that has its weights in another one has no parameters, but parts.
    return any(isinstance(value, DTensor) for part in model.modules() for value in part.parameters(recurse=False))


class _Unplaced(Placement):
    def __init__(self, outer: Placement) -> None:
        self._outer = outer

    @property
    def empty(self) -> bool:
        return self._outer.empty

    def place(self, model: PreTrainedModel) -> PreTrainedModel:
        return model


@contextmanager
def unplaced() -> Iterator[None]:
    """Leave models that are loaded inside the block whole: for a source that changes what another source has loaded."""
    placement = _PLACEMENT.get()
    with placing(None if placement is None else _Unplaced(placement)):
        yield


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Build modules without memory for their parameters; buffers, which no file may hold, are real."""
    # torch lets the hook return another parameter, which its annotation does not say.
    handle = register_module_parameter_registration_hook(_on_meta)  # type: ignore[arg-type]
    try:
        yield
    finally:
        handle.remove()


def _on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
    if parameter is None or parameter.is_meta:
        return None  # to torch: as it is
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
