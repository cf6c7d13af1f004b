"""Refuse arrays and lists where tensors are expected."""

from typing import Any

from torch import Tensor

from qstar_pl.errors import UserError


def require_tensors(**named: Any) -> None:
    """Raise a UserError that names the argument unless all are tensors: arrays and lists would fail deep inside."""
    for name, value in named.items():
        if not isinstance(value, Tensor):
            kind = type(value).__qualname__
            kind = kind if type(value).__module__ == "builtins" else f"{type(value).__module__}.{kind}"
            raise UserError(f"{name} must be a torch.Tensor, got {kind}; torch.as_tensor makes one")
