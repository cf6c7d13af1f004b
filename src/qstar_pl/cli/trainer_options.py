"""Checks of trainer options that Lightning accepts, and then fails on later or silently ignores."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

from qstar_pl.cli.words import with_values
from qstar_pl.errors import UserError

AT_LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "fast_dev_run": 0,
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
PARTS = (
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("overfit_batches", "val_check_interval"),
)
"""Options that are a share of the batches up to 1, and a number of them from there on."""
_DURATION = re.compile(r"\s*\d+:\d\d:\d\d:\d\d\s*")
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
    _check_processes(devices, trainer.get("accelerator"))
    for name in ABOVE_ZERO:
        value = trainer.get(name)
        if _is_number(value) and not value > 0:
            raise UserError(f"trainer.{name} must be positive, got {value}")
    for name in PARTS:
        value = trainer.get(name)
        if _is_number(value) and not (0 <= value <= 1 or (value > 1 and value % 1 == 0)):
            raise UserError(f"trainer.{name} must be a share from 0 to 1, or a whole number of batches, got {value}")
    duration = trainer.get("max_time")
    if isinstance(duration, str) and not _DURATION.fullmatch(duration):
        raise UserError(f"trainer.max_time must be written as DD:HH:MM:SS, got {duration}")


def _check_processes(devices: Any, accelerator: Any) -> None:
    """Refuse more processes on CPU cores than any run could use: each loads the models and torch anew."""
    cores = os.cpu_count() or 1
    most = max(8, 4 * cores)
    if not str(devices).isdecimal() or int(devices) <= most or accelerator not in ("cpu", "auto", None):
        return
    from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

    if accelerator == "cpu" or not (CUDAAccelerator.is_available() or MPSAccelerator.is_available()):
        raise UserError(f"trainer.devices must be at most {most} on {cores} CPU cores, got {devices}")


def whole_first(hint: Any) -> Any:
    """Return a union of types with whole numbers before floats, so that 1 is one batch and not 1.0, all of them.

    Lightning writes `Optional[Union[int, float]]`, but typing keeps an earlier union of the same types in its cache,
    whatever their order: which one Lightning gets depends on what was imported before it.
    """
    types = get_args(hint)
    if get_origin(hint) is not Union or not {int, float} <= set(types):
        return hint
    # Other types keep their places: a text before float would take 0.5 for a duration.
    numbers = iter((int, float))
    return Union[tuple(next(numbers) if one in (int, float) else one for one in types)]  # noqa: UP007


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return the words with the ambiguous class name `ReduceLROnPlateau` as the path of the class that is meant."""
    return with_values(words, lambda name, value: MEANT if value == PLATEAU and _asks_for_schedule(name) else value)


def _asks_for_schedule(option: str) -> bool:
    return option.removesuffix(".class_path").endswith("lr_scheduler")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
