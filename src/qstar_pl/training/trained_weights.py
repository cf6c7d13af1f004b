"""The weights that a checkpoint holds: what trains, and nothing that is rebuilt from its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from qstar_pl.checkpoints.finite import first_not_finite
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.models.lora import names_of_bases


def trained_weights(
    module: nn.Module, state: Mapping[str, Any], frozen: Iterable[str], *, prefix: str = ""
) -> dict[str, Any]:
    """Return `state` without frozen submodules and without the bases of models with adapters (see `LoRA`).

    Args:
        module: whose state it is.
        state: with keys that begin with `prefix`.
        frozen: names of submodules.
        prefix: as in `torch.nn.Module.state_dict`.

    """
    absent = tuple(f"{prefix}{name}." for name in frozen)
    bases = {f"{prefix}{name}" for name in names_of_bases(module)}
    return {key: value for key, value in state.items() if not key.startswith(absent) and key not in bases}


def load_trained_weights(
    module: nn.Module, state: Mapping[str, Any], frozen: Iterable[str], load: Callable[[Mapping[str, Any]], Any]
) -> Any:
    """Load what trains, and return torch's report of missing and unexpected keys.

    Args:
        module: which loads.
        state: of a checkpoint.
        frozen: names of submodules that are absent on purpose.
        load: torch's own loading, not strict.

    Raises:
        UserError: if the checkpoint lacks a trainable weight, has one that this method does not know, one of
            another shape, or one that is not finite.

    """
    weights = (item for item in state.items() if isinstance(item[1], Tensor))
    if (found := first_not_finite(weights)) is not None:
        raise NonFiniteError(f"ckpt_path must hold finite weights, got one with {found[1]} in {found[0]}")
    try:
        result = load(state)
    except RuntimeError as error:  # another shape, which torch refuses also where it is not strict
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"ckpt_path must hold weights of this model's shape: {reason}") from error
    absent, bases = tuple(f"{name}." for name in frozen), names_of_bases(module)
    missing = [key for key in result.missing_keys if not key.startswith(absent) and key not in bases]
    result.missing_keys[:] = missing  # load_from_checkpoint warns of what is left in it
    if missing or result.unexpected_keys:
        unknown = result.unexpected_keys
        raise UserError(
            f"ckpt_path must hold the weights of {type(module).__name__}, got one with {len(missing)} missing "
            f"{missing[:2]} and {len(unknown)} unknown {unknown[:2]}"
        )
    return result
