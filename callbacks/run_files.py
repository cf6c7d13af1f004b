"""Where callbacks write what a run keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger


def run_folder(trainer: Trainer) -> Path | None:
    """Return the folder of the run's metrics.csv; None if it has none, or not on this machine's disks."""
    folders = [str(one.log_dir) for one in trainer.loggers if isinstance(one, CSVLogger)]
    return next((Path(folder) for folder in folders if "://" not in folder), None)


def as_line(values: Mapping[str, Any]) -> str:
    """Return an object as a line of JSON."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
