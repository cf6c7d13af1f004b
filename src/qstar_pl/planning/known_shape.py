"""A model of which only the shape is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig

from qstar_pl.errors import UserError
from qstar_pl.models.from_config import FromConfig
from qstar_pl.planning.shapes import Shape

BUILT_ANYWHERE = ("eager", "sdpa")
"""Implementations of attention that need no package or GPU; the others keep for a backward pass what sdpa keeps."""
_NOT_SHAPE = ("architectures", "dtype", "model_type", "quantization_config", "torch_dtype", "transformers_version")


@dataclass(frozen=True)
class KnownShape(FromConfig):
    """Stands for a model in a plan; the tiny world's tokenizer, smaller than any, stands for its own."""

    def in_tiny_world(self) -> bool:
        """See `ModelSource.in_tiny_world`; what it stands for is the user's own."""
        return False


def as_node(shape: Shape, options: Mapping[str, Any], argument: str) -> dict[str, Any]:
    """Return what builds a model of a shape, as a configuration states it.

    Args:
        shape: fields of transformers' configuration; those that the architecture does not have are left out.
        options: of the source that it stands for: dtype, attn_implementation and dropout count.
        argument: the name of the user's option, for error messages.

    Raises:
        UserError: if transformers does not know the architecture.

    """
    kind = shape["model_type"]
    try:
        default = AutoConfig.for_model(kind)
    except ValueError as error:
        raise UserError(f"{argument} must lead to an architecture that transformers knows, got {kind}") from error
    fields = {name: value for name, value in shape.items() if hasattr(default, name) and name not in _NOT_SHAPE}
    kept = {name: options[name] for name in ("dtype", "dropout") if options.get(name) is not None}
    attention = options.get("attn_implementation")
    kept["attn_implementation"] = attention if attention in (None, *BUILT_ANYWHERE) else "sdpa"
    return {
        "class_path": f"{KnownShape.__module__}.{KnownShape.__qualname__}",
        "init_args": {"model_type": kind, "overrides": fields, **kept},
    }
