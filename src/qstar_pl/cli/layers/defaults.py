"""What `qstar fit` does when nothing else is said: q* on the tiny world with every diagnostic."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Any

from jsonargparse import Namespace

RUNS = "runs"
"""The folder under which every run gets its own."""
DEFAULT_METHOD = "QStar"
"""Trained where no method is named."""
MAX_STEPS = 200
"""Length of a run for which neither steps, epochs nor time were given."""
LENGTHS = ("max_steps", "max_epochs", "max_time", "min_steps", "min_epochs")
"""Options of the trainer that say together how long a run is: whoever gives one means none of a lower layer."""
CADENCE = ("val_check_interval", "check_val_every_n_epoch")
"""Options that say together when to validate."""
VALIDATE_EVERY = 100
"""Batches between validations where nothing is said; counted through epochs, so that it suits any number of rows."""
VALIDATION_BATCHES = 32
"""Most batches of such a validation, per loader; `validate` and `test` measure their whole split."""
SAVE_EVERY = 100
"""Optimizer steps between checkpoints where nothing is said."""
_WRITER = {
    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
    # Lightning's own file name, spelt out: by it the built-in writer is told from one that the user adds.
    "init_args": {"filename": "{epoch}-{step}", "save_last": True, "every_n_train_steps": SAVE_EVERY},
}


def defaults(command: str = "fit", given: Collection[str] = ()) -> dict[str, Any]:
    """Return the configuration below every other: class defaults only fill what is absent here.

    It is given to the parser as a first `--config`, not as the parser's defaults: those would be completed with the
    default class's own arguments, which a `--model=DPO` would then inherit.

    Args:
        command: "fit", "validate", "test" or "predict".
        given: options of the trainer that a higher layer says.

    """
    trainer: dict[str, Any] = {}
    if command == "fit" and not {*CADENCE, "max_epochs"} & set(given):
        trainer = {"val_check_interval": VALIDATE_EVERY, "check_val_every_n_epoch": None}
        trainer["limit_val_batches"] = VALIDATION_BATCHES
    return {
        "seed_everything": 0,
        "model": {"class_path": f"qstar_pl.methods.{DEFAULT_METHOD}"},
        "data": {"class_path": "qstar_pl.data.RLHFDataModule"},
        "trainer": {
            "default_root_dir": RUNS,
            **trainer,
            "log_every_n_steps": 10,
            "logger": True,  # a CSVLogger in default_root_dir, see `resolve_loggers`
            "callbacks": [
                {"class_path": "lightning.pytorch.callbacks.RichProgressBar"},
                _WRITER,
                *_diagnostics(),
            ],
        },
    }


def is_built_in(writer: Any) -> bool:
    """Return whether the configuration of a callback is that of the ModelCheckpoint which comes by default."""
    arguments = writer.get("init_args") or {}
    wanted = _WRITER["init_args"].items()  # type: ignore[attr-defined]
    return writer["class_path"] == _WRITER["class_path"] and all(arguments.get(key) == value for key, value in wanted)


def has_default_cadence(trainer: Any) -> bool:
    """Return whether a trainer's configuration validates when nobody said when."""
    return trainer["val_check_interval"] == VALIDATE_EVERY and trainer["check_val_every_n_epoch"] is None


def wanted_callbacks(trainer: Any) -> Any:
    """Return the callbacks of a trainer's configuration without those of ours that give way.

    Lightning refuses e.g. `enable_progress_bar: false` beside a progress bar; ours come by default, so they give way.
    Under `fast_dev_run` it lets an explicit ModelCheckpoint write, although it says that nothing is written. Beside a
    ModelCheckpoint of the user's the built-in one would write every checkpoint a second time.
    """
    callbacks = trainer["callbacks"]
    if isinstance(callbacks, Namespace):
        callbacks = [callbacks]
    if not isinstance(callbacks, list):
        return callbacks
    off: list[str] = []
    if trainer["enable_progress_bar"] is False or trainer["barebones"]:
        off.append("ProgressBar")
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
