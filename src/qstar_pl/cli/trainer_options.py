"""Checks of trainer options that Lightning accepts, and then fails on later or silently ignores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from qstar_pl.cli.words import with_values
from qstar_pl.errors import UserError

AT_LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_nodes": 1,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
    "max_steps": -1,
    "max_epochs": -1,
    "min_steps": 0,
    "min_epochs": 0,
}
"""Option → its smallest value; −1 means unlimited or all."""
ABOVE_ZERO = ("val_check_interval",)
# auto, all (-1), a number, or a list of indices such as 0,1 or 0, (the first one).
_DEVICES = re.compile(r"auto|-1|0*[1-9]\d*|\d+,|\d+(,\s*\d+)+,?")
PLATEAU = "ReduceLROnPlateau"
MEANT = f"lightning.pytorch.cli.{PLATEAU}"
"""torch has a class of this name too; only Lightning's says which metric it monitors."""


def check_trainer_options(trainer: Any) -> None:
    """Check that numeric options of a trainer are within their ranges.

    Args:
        trainer: the options, by name.

    Raises:
        UserError: for the first that is not.

    """
    for name, least in AT_LEAST.items():
        value = trainer.get(name)
        if _is_number(value) and value < least:
            raise UserError(f"trainer.{name} must be at least {least}, got {value}")
    devices = trainer.get("devices")
    if isinstance(devices, int | str) and not _DEVICES.fullmatch(str(devices)):
        raise UserError(f"trainer.devices must be auto, a number of them, or numbers such as 0,1, got {devices}")
    for name in ABOVE_ZERO:
        value = trainer.get(name)
        if _is_number(value) and not value > 0:
            raise UserError(f"trainer.{name} must be positive, got {value}")


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return the words with the ambiguous class name `ReduceLROnPlateau` as the path of the class that is meant."""
    return with_values(words, lambda name, value: MEANT if value == PLATEAU and _asks_for_schedule(name) else value)


def _asks_for_schedule(option: str) -> bool:
    return option.removesuffix(".class_path").endswith("lr_scheduler")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
