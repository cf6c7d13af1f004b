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
"""Names that loggers give to a run without a name."""


def folder_name(name: str | None, command: str) -> str | None:
    """Return a run's name for a logger: commands that only measure never log into folders of training runs."""
    # A name that ends in the command already has it, e.g. from the config.yaml of an earlier `qstar test`.
    if command == "fit" or name is None or name.rpartition("/")[2] == command:
        return name
    return f"{name}/{command}" if name else command


def resolve_loggers(
    loggers: Any, root: str, name: str, command: str = "fit", unnamed: Collection[str | None] = UNNAMED
) -> Any:
    """Return the `trainer.logger` of a configuration, with `name` in place of every name in `unnamed`.

    For commands other than `fit`, the command is appended to every name, see `folder_name`.

    A CSVLogger stands for True. It also comes before loggers without a numbered folder (such as W&B's): the first
    logger decides where checkpoints go, and `--ckpt_path last` needs a folder that can be found by the run's name.
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
    """Return those loggers that give their runs numbered folders."""
    return [one for one in loggers if isinstance(one, (CSVLogger, TensorBoardLogger))]


def metrics_files(loggers: Iterable[Any]) -> list[Path]:
    """Return where measurements can be read: the metrics.csv of every CSVLogger."""
    return [Path(logger.log_dir) / METRICS for logger in loggers if isinstance(logger, CSVLogger)]


def rows_of(loggers: Iterable[Any]) -> dict[str, int]:
    """Return how many rows the metrics.csv of each logger has; 0 where nothing has been logged yet."""
    return {str(one.log_dir): count_rows(Path(one.log_dir) / METRICS) for one in loggers if isinstance(one, CSVLogger)}
