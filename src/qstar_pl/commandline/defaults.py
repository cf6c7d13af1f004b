"""What `qstar fit` does when nothing else is said: q* on the tiny world with every diagnostic."""

from __future__ import annotations

import re
from typing import Any

RUNS = "runs"
"""The folder under which every run gets its own."""
DEFAULT_METHOD = "QStar"
"""Trained where no method is named."""
MAX_STEPS = 200
"""Length of a run for which neither steps, epochs nor time were given."""


def defaults() -> dict[str, Any]:
    """Return the configuration below every other: class defaults only fill what is absent here.

    It is given to the parser as a first `--config`, not as the parser's defaults: those would be completed with the
    default class's own arguments, which a `--model=DPO` would then inherit.
    """
    return {
        "seed_everything": 0,
        "model": {"class_path": f"qstar_pl.methods.{DEFAULT_METHOD}"},
        "data": {"class_path": "qstar_pl.data.RLHFDataModule"},
        "trainer": {
            "default_root_dir": RUNS,
            "log_every_n_steps": 10,
            "logger": True,  # a CSVLogger in default_root_dir, see `resolve_loggers`
            "callbacks": [
                {"class_path": "lightning.pytorch.callbacks.RichProgressBar"},
                {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"save_last": True}},
                *_diagnostics(),
            ],
        },
    }


def snake_case(name: str) -> str:
    """Return e.g. "q_star" for "QStar" and "dpo" for "DPO": the run folder of a method."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def wanted_callbacks(trainer: Any) -> Any:
    """Return the callbacks of a trainer's configuration without those that one of its switches turns off.

    Lightning refuses e.g. `enable_progress_bar: false` beside a progress bar; ours come by default, so they give way.
    Under `fast_dev_run` it lets an explicit ModelCheckpoint write, although it says that nothing is written.
    """
    off = []
    if trainer["enable_progress_bar"] is False or trainer["barebones"]:
        off.append("ProgressBar")
    if trainer["enable_checkpointing"] is False or trainer["barebones"] or trainer["fast_dev_run"]:
        off.append("ModelCheckpoint")
    callbacks = trainer["callbacks"]
    if not off or not isinstance(callbacks, list):
        return callbacks
    return [one for one in callbacks if not str(one["class_path"]).endswith(tuple(off))]


def _diagnostics() -> list[dict[str, Any]]:
    from qstar_pl import callbacks

    return [{"class_path": f"qstar_pl.callbacks.{type(one).__name__}"} for one in callbacks.default_diagnostics()]
