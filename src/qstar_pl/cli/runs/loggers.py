"""The loggers of a run: what they call it, and where they write."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from qstar_pl.cli.layers.resume import NUMBERED
from qstar_pl.cli.runs.metrics_file import METRICS, count_rows

UNNAMED = (None, "lightning_logs")
"""What the loggers call a run that has no name."""


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


def numbered(loggers: Iterable[Any]) -> list[Any]:
    """Return those that give their runs numbered folders."""
    return [one for one in loggers if isinstance(one, (CSVLogger, TensorBoardLogger))]


def metrics_files(loggers: Iterable[Any]) -> list[Path]:
    """Return where what was measured is to be read: the metrics.csv of every CSVLogger."""
    return [Path(logger.log_dir) / METRICS for logger in loggers if isinstance(logger, CSVLogger)]


def rows_of(loggers: Iterable[Any]) -> dict[str, int]:
    """Return how many rows the metrics.csv of each logger has; 0 where nothing has been logged yet."""
    return {str(one.log_dir): count_rows(Path(one.log_dir) / METRICS) for one in loggers if isinstance(one, CSVLogger)}
