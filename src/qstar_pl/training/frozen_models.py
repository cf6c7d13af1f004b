"""Fingerprints of the models that a checkpoint does not hold, since they never train, so that a change is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from qstar_pl.errors import UserError
from qstar_pl.models.fingerprint import fingerprint_of
from qstar_pl.models.lora import names_of_bases

KEY = "qstar_models"
"""Checkpoint key of their fingerprints by name."""
OPTION = "accept_changed_models"
_NAMES = {
    "reference": "the reference (model.policy)",
    "target": "π_t (model.target)",
    "sampler_models": "the sampler (model.sampler)",
}


def fingerprints(module: nn.Module, frozen: Iterable[str]) -> dict[str, str]:
    """Return name → fingerprint of the frozen parts of a method that have weights, and of the bases of adapters.

    Args:
        module: with its models loaded; under sharding every process must call it.
        frozen: names of submodules.

    """
    found = {}
    for name in frozen:
        part = getattr(module, name, None)
        # A part may be None (no gold reward) or have no weights (a reward that runs tests).
        tensors = list(part.state_dict().items()) if isinstance(part, nn.Module) else []
        if tensors:
            found[name] = fingerprint_of(tensors)
    for place in ("policy", "model.model"):  # models that train; under adapters their bases do not
        try:
            part = module.get_submodule(place)
        except AttributeError:
            continue
        if (base := base_fingerprint(part)) is not None:
            found[f"{place}.base"] = base
    return found


def base_fingerprint(model: nn.Module) -> str | None:
    """Return the fingerprint of the weights that a model's adapters were put on; None without adapters."""
    names = names_of_bases(model)
    return fingerprint_of((n, t) for n, t in model.state_dict().items() if n in names) if names else None


def check_unchanged(stored: Mapping[str, str], now: Mapping[str, str], accepted: bool) -> None:
    """Do nothing if every model that both know is the same, or changes are accepted.

    Raises:
        UserError: naming those that are not.

    """
    changed = [name for name in stored if name in now and now[name] != stored[name]]
    if changed and not accepted:
        raise UserError(
            "ckpt_path must go on beside the same frozen models, got other weights of "
            f"{', '.join(map(spoken, changed))} than the checkpoint was trained with; if you mean it, give "
            f"--{OPTION}=true"
        )


def spoken(name: str) -> str:
    """Return a model's name in a message."""
    if name.endswith(".base"):
        return f"the model under the adapters (model.{name.split('.')[0]}.base)"
    return _NAMES.get(name, f"model.{name}")
