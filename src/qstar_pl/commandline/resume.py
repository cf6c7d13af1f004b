"""`--ckpt_path last` and `auto`: the same command again goes on where the last one stopped, in the same folder."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger

from qstar_pl.checkpoints.atomic import replacing
from qstar_pl.checkpoints.damage import newest_whole
from qstar_pl.errors import UserError

LAST = "last"
AUTO = "auto"
"""As `last`, but where there is no checkpoint yet the run begins: what a job that is queued again is started with."""
NUMBERED = ("CSVLogger", "TensorBoardLogger")
"""Loggers that put runs into version_0, version_1, …"""


def find_checkpoint(ckpt_path: str | None, command: str, root: str, name: str) -> Path | None:
    """Return the checkpoint that a value of --ckpt_path stands for; None if there is none to be read from the disk.

    Raises:
        UserError: if there must be one, and is not; or if the value says nothing here.

    """
    if ckpt_path in (LAST, AUTO):
        found = find_last(root, name)
        if found is None and (ckpt_path == LAST or command != "fit"):
            hint = "; --ckpt_path auto begins anew then" if command == "fit" else ""
            raise UserError(
                f"ckpt_path must name a checkpoint, got {ckpt_path}, and {root}/{name} holds none yet{hint}"
            )
        return found
    if ckpt_path in ("best", ""):
        raise UserError(f"ckpt_path must be last, auto or the path of a checkpoint, got {ckpt_path or 'nothing'}")
    if ckpt_path in (None, "hpc") or "://" in ckpt_path or ckpt_path.startswith("registry"):
        return None  # Lightning's own
    return Path(ckpt_path)


def find_last(root: str, name: str) -> Path | None:
    """Return the newest `last` checkpoint of the runs called `name` under `root`; None if there is none yet.

    It may be damaged: whoever loads it says so and names the one before. Where a kill has left other checkpoints but
    no `last` among them, the newest whole one is taken.
    """
    folders = [folder for folder in Path(root, name).glob("*/checkpoints") if folder.is_dir()]
    found = [path for folder in folders for path in folder.glob("last*.ckpt") if path.exists()]  # or a broken link
    if not found:
        found = [path for folder in folders if (path := newest_whole(folder, other_than=folder)) is not None]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def stay_in_folder(loggers: Any, checkpoint: Path, wandb_id: str | None = None) -> None:
    """Let loggers that number their runs go on in the folder that the checkpoint lies in, and W&B in its own run.

    Args:
        loggers: `trainer.logger` of a configuration.
        checkpoint: in the folder `checkpoints` of the run's.
        wandb_id: of the run that the checkpoint belongs to.

    """
    folder = checkpoint.parent.parent.name
    number = folder.removeprefix("version_")
    version = int(number) if folder.startswith("version_") and number.isdigit() else folder
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        arguments = logger.get("init_args") if isinstance(logger, Namespace) else None
        if arguments is None or arguments.get("version") is not None:
            continue
        kind = logger.class_path.rpartition(".")[2]
        if kind in NUMBERED:
            arguments["version"] = version
        elif kind == "WandbLogger" and arguments.get("id") is None:
            arguments["version"] = wandb_id  # Lightning asks W&B to resume a run whose id it is given


def rows_of(loggers: Iterable[Any]) -> dict[str, int]:
    """Return how many rows the metrics.csv of each logger has; 0 where nothing has been logged yet."""
    paths = {str(logger.log_dir): _path(logger) for logger in loggers if isinstance(logger, CSVLogger)}
    return {folder: _count(path) if path.exists() else 0 for folder, path in paths.items()}


def _path(logger: CSVLogger) -> Path:
    return Path(logger.log_dir) / "metrics.csv"


def _count(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def take_up_metrics(logger: CSVLogger) -> None:
    """Let the logger append to the metrics.csv of the run that is continued; alone it would delete the file."""
    path = _path(logger)
    kept = path.read_bytes() if path.exists() else None
    writer = logger.experiment  # deletes the file
    if kept is None:
        return
    with replacing(path) as beside:
        beside.write_bytes(kept)
    with path.open(newline="") as file:
        writer.metrics_keys = list(csv.DictReader(file).fieldnames or [])


def cut_metrics(logger: CSVLogger, count: int | None) -> None:
    """Leave the first rows of a metrics.csv.

    Args:
        logger: with the folder of the run that is continued, which has logged nothing yet.
        count: rows that there were when the checkpoint was written, since what was logged later is computed again (a
            row's step does not tell: a validation after a step has the step before). None: not known, keep all.

    """
    path = _path(logger)
    if not path.exists():
        return
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(islice(reader, count))
        header = list(reader.fieldnames or [])
    if not rows:
        path.unlink()
        logger.experiment.metrics_keys = []
        return
    with replacing(path) as beside, beside.open("w", newline="") as file:
        lines = csv.DictWriter(file, fieldnames=header)
        lines.writeheader()
        lines.writerows(rows)
