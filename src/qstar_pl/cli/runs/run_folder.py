"""The folder of a run: its name, its config.yaml, and what an earlier run left there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from qstar_pl.cli.layers.checkpoints import KEY, ROWS, WANDB_ID, rows_at
from qstar_pl.cli.errors import MISTAKE
from qstar_pl.cli.runs.finished import begin as forget_end
from qstar_pl.cli.runs.hyperparameters import flat
from qstar_pl.cli.runs.interrupt import Quiet
from qstar_pl.cli.runs.metrics_file import METRICS, MetricsFile, count_rows, keep_rows
from qstar_pl.cli.runs.recorded_judges import record_judges
from qstar_pl.cli.layers.resume import NUMBERED
from qstar_pl.errors import UserError
from qstar_pl.locks import LIMIT_S, Lock, check_free
from qstar_pl.methods.bases.policy_models import PolicyModels

UNNAMED = (None, "lightning_logs")
"""What the loggers call a run that has no name."""
LOCK = ".lock"
"""In a folder that a run writes into, while it does."""


class RunConfig(SaveConfigCallback):
    """Writes the resolved configuration as config.yaml into the run folder, into every checkpoint, and to loggers.

    Loggers get it as hyperparameters with flat keys, see `flat`, so that runs can be filtered. An earlier config.yaml
    that says something else is kept as config.1.yaml, config.2.yaml, … Before anything is written, the run folder is
    locked: a second run there ends with a message, and the first one does not notice.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "overwrite": True})
        self.continued: Path | None = None
        """The checkpoint of a run that goes on in its own folder, and so in its own metrics.csv."""
        self.locks: list[Lock] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lock, keep what is there, then write; what only measures, and logs nothing, leaves nothing."""
        if stage != "fit" and not trainer.loggers:
            return
        folder = trainer.log_dir  # on every rank: it is broadcast
        if not self.locks:
            self._lock(trainer, stage)
            keep_earlier_metrics(trainer, self.continued)
        if isinstance(pl_module, PolicyModels):
            with suppress(UserError):  # raised again when models are built, behind what may be wrong with them
                pl_module.settle_judges()
                record_judges(self.config.model.init_args, pl_module)
        if folder is not None and trainer.is_global_zero and not self.already_saved:
            path = Path(folder) / self.config_filename
            if path.exists() and path.read_text() != self._dumped():
                keep_earlier(path)
        super().setup(trainer, pl_module, stage)

    def _lock(self, trainer: Trainer, stage: str) -> None:
        refused = None
        try:
            if trainer.is_global_zero:
                self.locks = [_acquired(folder) for folder in written_folders(trainer, stage)]
        except UserError as error:
            refused = str(error)
        refused = trainer.strategy.broadcast(refused)
        if refused is not None:
            if trainer.is_global_zero:
                raise UserError(refused)
            raise Quiet(MISTAKE, trainer)

    def release(self) -> None:
        """Let other runs have the folder."""
        for lock in self.locks:
            lock.release()
        self.locks = []

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hand the configuration to the loggers; called on rank zero, once."""
        hyperparameters = flat(yaml.safe_load(self._dumped()))
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the rows of metrics that are computed again; not before, since a run may have no step left to take."""
        checkpoint = Path(trainer.ckpt_path) if isinstance(trainer.ckpt_path, str) else None
        if checkpoint is None or not checkpoint.exists() or not trainer.is_global_zero:
            return
        if self.continued is not None:
            forget_end(checkpoint.parent)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger) and _is_its_folder(logger, checkpoint):
                _writer(logger).cut(rows_at(checkpoint, str(logger.log_dir)))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the configuration, so that the checkpoint alone rebuilds the run."""
        if any(lock.lost for lock in self.locks):
            raise UserError(
                f"another run has taken over {trainer.log_dir}, since this one gave no sign of life for {LIMIT_S:.0f} s"
            )
        # What was logged up to here must outlive a kill, since the run goes on from here.
        for logger in trainer.loggers:
            logger.save()
        checkpoint[ROWS] = rows_of(trainer.loggers)
        checkpoint[WANDB_ID] = next((one.version for one in trainer.loggers if isinstance(one, WandbLogger)), None)
        checkpoint[KEY] = yaml.safe_load(self._dumped())

    def _dumped(self) -> str:
        dumped: str = self.parser.dump(self.config, skip_unset=False, format="yaml")
        return dumped


def written_folders(trainer: Trainer, stage: str = "fit") -> list[Path]:
    """Return where a run writes and no other may: what is numbered for it, and where its checkpoints go instead."""
    folders = [Path(logger.log_dir) for logger in _numbered(trainer.loggers)]
    if stage == "fit":
        places = [getattr(one, "dirpath", None) for one in trainer.checkpoint_callbacks]
        given = [Path(place) for place in places if place is not None]
        inside = [place.resolve() for place in folders]
        folders += [place for place in given if not any(place.resolve().is_relative_to(outer) for outer in inside)]
        if not folders and trainer.checkpoint_callbacks:
            folders = [Path(trainer.default_root_dir) / "checkpoints"]
    return [folder for folder in dict.fromkeys(folders) if ":/" not in str(folder)]


def check_free_folders(trainer: Trainer, stage: str) -> None:
    """Do nothing if no other run writes where this one would; asked before anything is loaded.

    Raises:
        UserError: if one does; on other processes than the first, a quiet end.

    """
    try:
        for folder in written_folders(trainer, stage):
            check_free(folder / LOCK, _what(folder))
    except UserError as error:
        if trainer.is_global_zero:
            raise
        raise Quiet(MISTAKE, trainer) from error


def _acquired(folder: Path) -> Lock:
    lock = Lock.acquire(folder / LOCK, _what(folder))
    if lock.taken_from is not None:
        print(f"took over {folder} from {lock.taken_from}, which has ended in the middle", file=sys.stderr, flush=True)
    return lock


def _what(folder: Path) -> str:
    return f"run folder must be one that no other run writes into, got {folder}"


def claim_folder(loggers: Iterable[Any]) -> None:
    """Give loggers that number their runs the next number, and make that folder, so that no other run gets it too."""
    unnumbered = [one for one in _numbered(loggers) if one._version is None and ":/" not in str(one.root_dir)]
    for root in {str(logger.root_dir) for logger in unnumbered}:
        together = [logger for logger in unnumbered if str(logger.root_dir) == root]
        number = max(logger._get_next_version() for logger in together)
        while True:
            try:
                Path(root, f"version_{number}").mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
        for logger in together:
            logger._version = number


def _numbered(loggers: Iterable[Any]) -> list[Any]:
    return [one for one in loggers if isinstance(one, (CSVLogger, TensorBoardLogger))]


def rows_of(loggers: Iterable[Any]) -> dict[str, int]:
    """Return how many rows the metrics.csv of each logger has; 0 where nothing has been logged yet."""
    return {str(one.log_dir): count_rows(Path(one.log_dir) / METRICS) for one in loggers if isinstance(one, CSVLogger)}


def _writer(logger: CSVLogger) -> MetricsFile:
    if not isinstance(logger._experiment, MetricsFile):
        keep_rows(logger)
    return cast(MetricsFile, logger._experiment)


def keep_earlier(path: Path) -> Path | None:
    """Rename an existing file `name.ext` to the first free `name.N.ext`; return the new path."""
    if not path.exists():
        return None
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(kept)


def keep_earlier_metrics(trainer: Trainer, continued: Path | None = None) -> None:
    """Keep the metrics.csv of an earlier run into the same folder under another name.

    Args:
        trainer: whose loggers have written nothing yet.
        continued: the checkpoint of a run that goes on in its own folder, and so in its own metrics.csv.

    """
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        if isinstance(logger, CSVLogger) and (continued is None or not _is_its_folder(logger, continued)):
            keep_earlier(Path(logger.log_dir) / METRICS)


def _is_its_folder(logger: CSVLogger, checkpoint: Path) -> bool:
    return Path(logger.log_dir).resolve() == checkpoint.resolve().parent.parent


def check_name(name: str | None) -> None:
    """Do nothing if the runs of a name lie in the folder of all runs.

    Raises:
        UserError: if not, since other files would be written to, and `--ckpt_path last` would look there.

    """
    parts = re.split(r"[/\\]", name or "")
    if name and (Path(name).is_absolute() or name.startswith("~") or {"", ".", ".."} & set(parts)):
        raise UserError(
            f"name must name a folder inside trainer.default_root_dir, such as mine or study/mine, got {name}"
        )


def folder_name(name: str | None, command: str) -> str | None:
    """Return the name of a run for a logger: what only measures never logs into the folders of training runs."""
    if command == "fit" or name is None or name.rpartition("/")[2] == command:
        return name
    return f"{name}/{command}" if name else command


def resolve_loggers(
    loggers: Any, root: str, name: str, command: str = "fit", unnamed: Collection[str | None] = UNNAMED
) -> Any:
    """Return the `trainer.logger` of a configuration, in which whoever had a name of `unnamed` has `name`.

    For other commands than `fit` every name gets the command's behind it, see `folder_name`.

    A CSVLogger stands for True, and before loggers that have no numbered folder (W&B's): the first one says where
    checkpoints go, and a folder that is found again by the run's name is what `--ckpt_path last` needs.
    """
    own = folder_name(name, command)
    arguments = Namespace(save_dir=root, name=own, version=None, prefix="", flush_logs_every_n_steps=100)
    files = Namespace(class_path="lightning.pytorch.loggers.CSVLogger", init_args=arguments)
    if loggers is None or loggers is True:
        return files
    listed = [one for one in (loggers if isinstance(loggers, list) else [loggers]) if isinstance(one, Namespace)]
    for logger in listed:
        arguments = logger.get("init_args")
        if arguments is not None and "name" in arguments:
            arguments["name"] = folder_name(name if arguments["name"] in unnamed else arguments["name"], command)
    if listed and not any(logger.class_path.rpartition(".")[2] in NUMBERED for logger in listed):
        return [files, *listed]
    return loggers


def metrics_files(loggers: Iterable[Any]) -> list[Path]:
    """Return where what was measured is to be read: the metrics.csv of every CSVLogger."""
    return [Path(logger.log_dir) / METRICS for logger in loggers if isinstance(logger, CSVLogger)]


def write_predictions(
    trainer: Trainer, batches: Iterable[Iterable[Mapping[str, Any]]], folder: Path | None = None
) -> Path:
    """Write what `predict_step` returned as JSON lines; each process writes its own rows.

    Args:
        trainer: that has predicted.
        batches: what it returned.
        folder: where to; None: the run folder.

    """
    suffix = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
    folder = folder or Path(trainer.log_dir or ".")  # on every rank: it is broadcast
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"predictions{suffix}.jsonl"
    keep_earlier(path)
    with path.open("w", encoding="utf-8") as file:
        for row in (row for batch in batches for row in batch):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
