"""Low-rank terms that a layer adds for some rows of a batch, and for others not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

Terms = Mapping[nn.Module, Sequence["Term"]]
"""By the layer that adds them; a layer that is not in it adds nothing."""


class Term(NamedTuple):
    """scaling · B(A(x))."""

    inner: Callable[[Tensor], Tensor]
    """x → B(A(x))."""
    scaling: float

    def add_to(self, result: Tensor, x: Tensor) -> None:
        """Add the term of `x` [rows, …, in] to `result` [rows, …, out], in place."""
        said = self.inner(x)
        # As peft: the scaled term is added in the layer's own precision.
        result.add_(said.to(result.dtype), alpha=self.scaling)


class Adapted:
    """The forward pass of one layer with terms of its own for each of several equal parts of the batch's rows."""

    def __init__(self, base: Callable[..., Tensor], parts: Sequence[Sequence[Term]]) -> None:
        """Describe the layer.

        Args:
            base: the layer as it is without any term.
            parts: for each part of the rows, in their order, what is added to it.

        """
        self._base, self._parts = base, parts

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return what the layer says of `x`, whose first dimension is the rows, or begins with them."""
        result = self._base(x, *args, **kwargs)
        rows = len(x) // len(self._parts)
        for number, terms in enumerate(self._parts):
            for term in terms:
                first = number * rows
                term.add_to(result[first : first + rows], x[first : first + rows])
        return result


def adapting(*parts: Terms) -> dict[nn.Module, Callable[..., Tensor]]:
    """Return by layer how it computes where each of several equal parts of the rows has terms of its own."""
    layers = dict.fromkeys(layer for terms in parts for layer in terms)
    return {
        # Of a layer with adapters, what lies under them.
        layer: Adapted(getattr(layer, "base_layer", layer.forward), [terms.get(layer, ()) for terms in parts])
        for layer in layers
    }


def terms_of(model: nn.Module) -> Terms:
    """Return the terms that the model's own adapters add; see `why_not_by_rows` for those that are no such terms."""
    layers: list[Any] = [part for part in model.modules() if hasattr(part, "get_base_layer")]
    return {
        layer: [_own_term(layer, name) for name in layer.active_adapters if name in layer.lora_A] for layer in layers
    }


def _own_term(layer: Any, name: str) -> Term:
    down, up = layer.lora_A[name], layer.lora_B[name]

    def inner(x: Tensor) -> Tensor:
        # Called, not read: under sharding a module's weights are there while it computes.
        said: Tensor = up(down(x.to(down.weight.dtype)))
        return said

    return Term(inner, layer.scaling[name])


def why_not_by_rows(model: nn.Module) -> str | None:
    """Return why the model's adapters cannot be added to some rows alone; None: they can."""
    part: Any
    for name, part in model.named_modules():
        if hasattr(part, "modules_to_save"):
            return f"{name} is trained as a whole beside the adapters"
        if not hasattr(part, "get_base_layer"):
            continue
        if not _is_plain(part):
            return f"the adapter of {name} is {type(part).__module__}.{type(part).__name__}, not plain LoRA"
        if part.merged:
            return f"the adapter of {name} is merged into its weights"
        if part.lora_variant or any(part.lora_bias.values()):
            return f"the adapter of {name} is more than a low-rank term (DoRA, a bias)"
    return None


def _is_plain(part: nn.Module) -> bool:
    from peft.tuners.lora.layer import Linear

    # Exactly this class: quantized layers, embeddings and convolutions compute otherwise.
    return type(part) is Linear


@contextmanager
def computing(forwards: Mapping[nn.Module, Callable[..., Tensor]]) -> Iterator[None]:
    """Let modules compute by other functions inside the block; their hooks run as ever."""
    before = [(module, module.__dict__.get("forward")) for module in forwards]
    try:
        for module, forward in forwards.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module, former in before:
            if former is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = former
