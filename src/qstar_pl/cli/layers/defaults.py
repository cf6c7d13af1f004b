"""What `qstar fit` does by default: q* on the tiny world with every diagnostic."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Any

from qstar_pl.run_folders.places import RUNS as RUNS

DEFAULT_METHOD = "QStar"
"""The method that is trained if none is named."""
MAX_STEPS = 200
"""Optimizer steps of a run for which neither steps, epochs nor time are given."""
LENGTHS = ("max_steps", "max_epochs", "max_time", "min_steps", "min_epochs")
"""Trainer options that together say how long a run is: whoever gives one wants none from a lower layer."""
CADENCE = ("val_check_interval", "check_val_every_n_epoch")
"""Trainer options that together say when to validate."""
VALIDATE_EVERY = 100
"""Default number of batches between validations, counted across epochs, so that it suits any number of rows."""
VALIDATION_BATCHES = 32
"""Most batches of such a validation, per loader; `validate` and `test` measure the whole split."""
SAVE_EVERY = 100
"""Default number of optimizer steps between checkpoints."""
LOG_EVERY = 10
"""Default number of optimizer steps between rows of metrics."""
TRAINER = {
    "max_steps": MAX_STEPS,
    "val_check_interval": VALIDATE_EVERY,
    "limit_val_batches": VALIDATION_BATCHES,
    "log_every_n_steps": LOG_EVERY,
}
"""Trainer options of a run for which none are given, where they are not Lightning's own defaults."""
_WRITER = {
    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
    # Lightning's own default, spelled out: by it `is_built_in` tells this writer from one that the user adds.
    "init_args": {"filename": "{epoch}-{step}", "save_last": True, "every_n_train_steps": SAVE_EVERY},
}


def defaults(command: str = "fit", given: Collection[str] = ()) -> dict[str, Any]:
    """Return the configuration below every other: class defaults only fill what is absent here.

    The parser gets it as a first `--config`, not as its defaults: it would complete those with the default class's own
    arguments, which a `--model=DPO` would then inherit.

    Args:
        command: "fit", "validate", "test" or "predict".
        given: trainer options that a higher layer gives.

    """
    trainer: dict[str, Any] = {}
    if command == "fit" and not {*CADENCE, "max_epochs"} & set(given):
        # None makes Lightning count batches across epochs; else an interval longer than an epoch is an error.
        trainer = {"val_check_interval": VALIDATE_EVERY, "check_val_every_n_epoch": None}
        trainer["limit_val_batches"] = VALIDATION_BATCHES
    return {
        "seed_everything": 0,
        "model": {"class_path": f"qstar_pl.methods.{DEFAULT_METHOD}"},
        "data": {"class_path": "qstar_pl.data.RLHFDataModule"},
        "trainer": {
            "default_root_dir": RUNS,
            **trainer,
            "log_every_n_steps": LOG_EVERY,
            "enable_model_summary": False,  # `RunReport` says what is trained and what is frozen
            "logger": True,  # a CSVLogger in default_root_dir, see `resolve_loggers`
            "callbacks": [
                {"class_path": "qstar_pl.callbacks.StepProgressBar"},
                _WRITER,
                *_diagnostics(),
            ],
        },
    }


def is_built_in(writer: Any) -> bool:
    """Return whether a callback's configuration is that of the default ModelCheckpoint."""
    arguments = writer.get("init_args") or {}
    wanted = _WRITER["init_args"].items()  # type: ignore[attr-defined]
    return writer["class_path"] == _WRITER["class_path"] and all(arguments.get(key) == value for key, value in wanted)


def has_default_cadence(trainer: Any) -> bool:
    """Return whether a trainer's configuration validates at the default times."""
    return trainer["val_check_interval"] == VALIDATE_EVERY and trainer["check_val_every_n_epoch"] is None


def wanted_callbacks(trainer: Any) -> Any:
    """Return the callbacks of a trainer's configuration without default ones that must give way.

    Lightning refuses e.g. `enable_progress_bar: false` beside a progress bar, and the default one was not asked for.
    Under `fast_dev_run` it lets an explicit ModelCheckpoint write, although it says that nothing is written. Beside a
    ModelCheckpoint of the user the built-in one would write every checkpoint a second time.
    """
    from jsonargparse import Namespace

    callbacks = trainer["callbacks"]
    if isinstance(callbacks, Namespace):
        callbacks = [callbacks]
    if not isinstance(callbacks, list):
        return callbacks
    off: list[str] = []
    if trainer["enable_progress_bar"] is False or trainer["barebones"]:
        off.append("ProgressBar")  # the name of every bar ends in it
    if trainer["enable_checkpointing"] is False or trainer["barebones"] or trainer["fast_dev_run"]:
        off.append("ModelCheckpoint")
    wanted = [one for one in callbacks if not str(one["class_path"]).endswith(tuple(off))]
    if any(_writes_checkpoints(one) and not is_built_in(one) for one in wanted):
        wanted = [one for one in wanted if not is_built_in(one)]
    return wanted


def _writes_checkpoints(callback: Any) -> bool:
    from lightning.pytorch.callbacks import ModelCheckpoint

    module, _, name = str(callback["class_path"]).rpartition(".")
    return issubclass(getattr(importlib.import_module(module), name), ModelCheckpoint)


def _diagnostics() -> list[dict[str, Any]]:
    from qstar_pl import callbacks

    return [{"class_path": f"qstar_pl.callbacks.{type(one).__name__}"} for one in callbacks.default_diagnostics()]
