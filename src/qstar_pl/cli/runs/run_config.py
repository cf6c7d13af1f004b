"""The resolved configuration of a run, written to its folder, its checkpoints and its loggers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from qstar_pl.cli.errors import MISTAKE
from qstar_pl.cli.layers.checkpoints import KEY, ROWS, WANDB_ID, rows_at
from qstar_pl.cli.runs.folders import acquired, is_its_folder, keep_earlier, keep_earlier_metrics, written_folders
from qstar_pl.cli.runs.hyperparameters import flat
from qstar_pl.cli.runs.interrupt import Quiet
from qstar_pl.cli.runs.loggers import rows_of
from qstar_pl.cli.runs.metrics_file import MetricsFile, keep_rows
from qstar_pl.cli.runs.recorded_judges import record_judges
from qstar_pl.errors import UserError
from qstar_pl.files import replacing
from qstar_pl.locks import Lock
from qstar_pl.methods.bases.policy_module import PolicyModule
from qstar_pl.publishing.facts import COMMANDS_KEY
from qstar_pl.run_folders.finished import begin as forget_end
from qstar_pl.secrets import shown_command


class RunConfig(SaveConfigCallback):
    """Writes the resolved configuration as config.yaml into the run folder, into every checkpoint, and to loggers.

    Loggers get it as hyperparameters with flat keys, see `flat`, so that runs can be filtered. An earlier config.yaml
    that differs is kept as config.1.yaml, config.2.yaml, … Before anything is written, the run folder is locked: a
    second run there ends with a message and does not disturb the first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "overwrite": True})
        self.continued: Path | None = None
        """The checkpoint of a run that continues in its own folder, and so in its own metrics.csv."""
        self.locks: list[Lock] = []
        self._text: str | None = None
        self.words: tuple[str, ...] = ()
        """The command of this run."""
        self._earlier: list[str] = []
        """The commands of the runs that it goes on from."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lock, keep what is there, then write; a command that only measures, and logs nothing, leaves nothing."""
        if stage != "fit" and not trainer.loggers:
            return
        self._text = None
        folder = trainer.log_dir  # read on every rank, since this property broadcasts
        if not self.locks:
            self._lock(trainer, stage)
            keep_earlier_metrics(trainer, self.continued)
        if isinstance(pl_module, PolicyModule):
            with suppress(UserError):  # raised again when models are built, after errors in those
                pl_module.settle_judges()
                record_judges(self.config.model.init_args, pl_module)
        self.save_to_log_dir = "://" in str(folder)  # remote folders are left to Lightning's own writing
        if folder is not None and trainer.is_global_zero and not (self.already_saved or self.save_to_log_dir):
            self._write(Path(folder) / self.config_filename)
        super().setup(trainer, pl_module, stage)

    def _write(self, path: Path) -> None:
        if path.exists() and path.read_text(encoding="utf-8") == self._dumped():
            return
        with replacing(path) as beside:  # whole or not at all, also on a full disk
            beside.write_text(self._dumped(), encoding="utf-8")
            keep_earlier(path)

    def _lock(self, trainer: Trainer, stage: str) -> None:
        refused = None
        try:
            if trainer.is_global_zero:
                self.locks = [acquired(folder) for folder in written_folders(trainer, stage)]
        except UserError as error:
            refused = str(error)
        # All processes must end, or the others would wait for the first one in the next collective call.
        refused = trainer.strategy.broadcast(refused)
        if refused is not None:
            if trainer.is_global_zero:
                raise UserError(refused)
            raise Quiet(MISTAKE, trainer)
        for logger in trainer.loggers if trainer.is_global_zero else []:
            if isinstance(logger, CSVLogger) and isinstance(logger._experiment, MetricsFile):
                logger._experiment.before_writing = self.check_locks

    def check_locks(self) -> None:
        """Raise UserError if another run has taken one of the folders over."""
        for lock in self.locks:
            lock.check(str(lock.path.parent))

    def release(self) -> None:
        """Let other runs have the folder."""
        for lock in self.locks:
            lock.release()
        self.locks = []

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hand the configuration to the loggers; Lightning calls this once, on rank zero."""
        hyperparameters = flat(yaml.safe_load(self._dumped()))
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop rows of metrics that will be computed again; not earlier, since a run may have no step left to take."""
        checkpoint = Path(trainer.ckpt_path) if isinstance(trainer.ckpt_path, str) else None
        if checkpoint is None or not checkpoint.exists() or not trainer.is_global_zero:
            return
        if self.continued is not None:
            forget_end(checkpoint.parent)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger) and is_its_folder(logger, checkpoint):
                _writer(logger).cut(rows_at(checkpoint, str(logger.log_dir)))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the configuration, so that the checkpoint alone rebuilds the run."""
        self.check_locks()
        # What was logged up to here must survive a kill, since a run that continues does not log it again.
        for logger in trainer.loggers:
            logger.save()
        checkpoint[ROWS] = rows_of(trainer.loggers)
        checkpoint[WANDB_ID] = next((one.version for one in trainer.loggers if isinstance(one, WandbLogger)), None)
        checkpoint[KEY] = yaml.safe_load(self._dumped())
        own = [shown_command(self.words)] if self.words else []
        checkpoint[COMMANDS_KEY] = self._earlier + [one for one in own if one not in self._earlier[-1:]]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the commands that led to the checkpoint."""
        if trainer.training:
            self._earlier = list(checkpoint.get(COMMANDS_KEY) or [])

    def _dumped(self) -> str:
        # Once, and not checked again: it was parsed, and nothing but `setup` adds to it.
        if self._text is None:
            self._text = self.parser.dump(self.config, skip_unset=False, skip_validation=True, format="yaml")
        return self._text


def _writer(logger: CSVLogger) -> MetricsFile:
    if not isinstance(logger._experiment, MetricsFile):
        keep_rows(logger)
    return cast(MetricsFile, logger._experiment)
