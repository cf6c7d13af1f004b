"""A model that is held anyway, as it is with other adapters: a second model for the size of the adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from qstar_pl.errors import UserError
from qstar_pl.models.adapter_folder import AdapterWeights
from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.row_adapters import Term, Terms, adapting, computing

_WRAPPER = "_checkpoint_wrapped_module."


class LowRank(nn.Module):
    """x → B A x, whose weights do not train: buffers, which move with the module and are whole on every process."""

    down: Tensor
    up: Tensor

    def __init__(self, down: Tensor, up: Tensor) -> None:
        """Keep A = `down` [rank, in] and B = `up` [out, rank]."""
        super().__init__()
        self.register_buffer("down", down)
        self.register_buffer("up", up)

    def forward(self, x: Tensor) -> Tensor:
        """Return the term [..., out] of `x` [..., in]."""
        return linear(linear(x.to(self.down.dtype), self.down), self.up)


class OtherAdapters(AdaptersOff):
    """Answers as a model does with these adapters in the place of its own; else as `AdaptersOff`."""

    def __init__(self, adapted: nn.Module, weights: AdapterWeights) -> None:
        """Put adapters on a model's weights, which stay as they are.

        Args:
            adapted: a Hugging Face model, with adapters of its own or without.
            weights: the other ones.

        Raises:
            UserError: if the model has no layer for one of them.

        """
        super().__init__(adapted)
        layers = {name.replace(_WRAPPER, ""): part for name, part in adapted.named_modules()}
        like = next(adapted.parameters())
        self.own = nn.ModuleList()
        terms = {}
        for name, (down, up) in weights.matrices.items():
            _check_fits(layers, name, down, up, weights.folder)
            module = LowRank(
                *(matrix.to(like.device, like.dtype) if not like.is_meta else matrix for matrix in (down, up))
            )
            self.own.append(module)
            terms[layers[name]] = [Term(module, weights.scaling(name, len(down)))]
        self._terms: Terms = terms
        self._forwards = adapting(terms)

    @property
    def terms(self) -> Terms:
        """See `AdaptersOff.terms`."""
        return self._terms

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model says with these adapters."""
        with computing(self._forwards):
            return super().forward(*args, **kwargs)


def with_adapters(model: PreTrainedModel, weights: AdapterWeights) -> PreTrainedModel:
    """Return the model as it is with these adapters alone; to its users it is a frozen model like others."""
    return cast("PreTrainedModel", OtherAdapters(model, weights))


def _check_fits(layers: Mapping[str, nn.Module], name: str, down: Tensor, up: Tensor, folder: str) -> None:
    layer = layers.get(name)
    base = getattr(layer, "base_layer", layer)
    if not isinstance(base, nn.Linear | Conv1D):
        found = "no layer" if layer is None else type(base).__name__
        raise UserError(f"adapter must fit the policy's base, got {folder} for {name}, which is {found} there")
    wide, own = (down.shape[1], up.shape[0]), tuple(base.weight.shape)
    if wide != (own if isinstance(base, Conv1D) else own[::-1]) or down.shape[0] != up.shape[1]:
        sizes = own if isinstance(base, Conv1D) else own[::-1]
        raise UserError(
            f"adapter must fit the policy's base, got {folder} for {name} with {wide[0]} inputs and {wide[1]} outputs, "
            f"of which the base has {sizes[0]} and {sizes[1]}"
        )
