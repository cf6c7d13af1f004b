"""The folder of a run: its name, its config.yaml, and what an earlier run left there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from qstar_pl.commandline.checkpoints import KEY, ROWS, WANDB_ID, rows_at
from qstar_pl.commandline.resume import NUMBERED, rows_of, take_up_metrics

UNNAMED = (None, "lightning_logs")
"""What the loggers call a run that has no name."""


class RunConfig(SaveConfigCallback):
    """Writes the resolved configuration as config.yaml into the run folder, and into every checkpoint.

    An earlier config.yaml that says something else is kept as config.1.yaml, config.2.yaml, …
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "overwrite": True})

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep what is there, then write."""
        folder = trainer.log_dir  # on every rank: it is broadcast
        if folder is not None and trainer.is_global_zero and not self.already_saved:
            path = Path(folder) / self.config_filename
            if path.exists() and path.read_text() != self.parser.dump(self.config, skip_unset=False, format="yaml"):
                keep_earlier(path)
        super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the configuration, so that the checkpoint alone rebuilds the run."""
        # What was logged up to here must outlive a kill, since the run goes on from here.
        for logger in trainer.loggers:
            logger.save()
        checkpoint[ROWS] = rows_of(trainer.loggers)
        checkpoint[WANDB_ID] = next((one.version for one in trainer.loggers if isinstance(one, WandbLogger)), None)
        checkpoint[KEY] = yaml.safe_load(self.parser.dump(self.config, skip_unset=False, format="yaml"))


def keep_earlier(path: Path) -> Path | None:
    """Rename an existing file `name.ext` to the first free `name.N.ext`; return the new path."""
    if not path.exists():
        return None
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(kept)


def keep_earlier_metrics(trainer: Trainer, continued: Path | None = None) -> None:
    """Keep the metrics.csv of an earlier run into the same folder: Lightning's logger would delete it.

    Args:
        trainer: whose loggers have written nothing yet.
        continued: the checkpoint of a run that goes on in its own folder, and so in its own metrics.csv.

    """
    if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
        return
    for logger in trainer.loggers:
        if not isinstance(logger, CSVLogger):
            continue
        if continued is not None and Path(logger.log_dir).resolve() == continued.resolve().parent.parent:
            take_up_metrics(logger, rows_at(continued, str(logger.log_dir)))
        else:
            keep_earlier(Path(logger.log_dir) / "metrics.csv")


def resolve_loggers(loggers: Any, root: str, name: str) -> Any:
    """Return the `trainer.logger` of a configuration, in which whoever had no name has `name`.

    A CSVLogger stands for True, and before loggers that have no numbered folder (W&B's): the first one says where
    checkpoints go, and a folder that is found again by the run's name is what `--ckpt_path last` needs.
    """
    files = Namespace(class_path="lightning.pytorch.loggers.CSVLogger", init_args=Namespace(save_dir=root, name=name))
    if loggers is None or loggers is True:
        return files
    listed = [one for one in (loggers if isinstance(loggers, list) else [loggers]) if isinstance(one, Namespace)]
    for logger in listed:
        arguments = logger.get("init_args")
        if arguments is not None and "name" in arguments and arguments["name"] in UNNAMED:
            arguments["name"] = name
    if listed and not any(logger.class_path.rpartition(".")[2] in NUMBERED for logger in listed):
        return [files, *listed]
    return loggers


def write_predictions(trainer: Trainer, batches: Iterable[Iterable[Mapping[str, Any]]]) -> Path:
    """Write what `predict_step` returned as JSON lines into the run folder; each process writes its own rows."""
    suffix = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
    folder = Path(trainer.log_dir or ".")  # on every rank: it is broadcast
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"predictions{suffix}.jsonl"
    keep_earlier(path)
    with path.open("w", encoding="utf-8") as file:
        for row in (row for batch in batches for row in batch):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
