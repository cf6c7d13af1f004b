"""The reference guide's words for what has another name in this project."""

from __future__ import annotations

from collections.abc import Mapping

from qstar_pl.errors import UserError
from qstar_pl.qstar import (
    AlphaStrategy,
    EntropyAlpha,
    ESSBalanceAlpha,
    FixedAlpha,
    KLSymmetricAlpha,
    SNRAlpha,
)

ALPHA_METHODS: Mapping[str, type[AlphaStrategy]] = {
    "fixed": FixedAlpha,
    "entropy": EntropyAlpha,
    "kl_symmetric": KLSymmetricAlpha,
    "ess_balance": ESSBalanceAlpha,
    "snr": SNRAlpha,
}
"""The values of --alpha_method."""
ALPHA_ALIASES: Mapping[str, str] = {"kl_symmetry": "kl_symmetric"}
"""Other names → those values."""
DEFAULT_ALPHA = "kl_symmetric"
PROMPT_FORMATS = ("dialogue", "raw")
DIAGNOSTICS = ("none", "rows", "tokens")
ADAPTER_WORDS = ("auto", "generic", "deepscaler")
"""Values of --dataset_adapter besides names of classes; see `generation.prompts.choose_source`."""


def alpha_strategy(method: str, fixed_alpha: float = 0.5) -> AlphaStrategy:
    """Return the strategy of a name in `ALPHA_METHODS` or `ALPHA_ALIASES`; raises UserError for any other."""
    kind = ALPHA_METHODS[canonical_method(method)]
    return kind(value=fixed_alpha) if kind is FixedAlpha else kind()


def canonical_method(method: str) -> str:
    """Return the name of a method in `ALPHA_METHODS`; raises UserError if there is none."""
    name = ALPHA_ALIASES.get(method, method)
    if name not in ALPHA_METHODS:
        raise UserError(f"alpha_method must be one of {', '.join(ALPHA_METHODS)}, got {method!r}")
    return name
