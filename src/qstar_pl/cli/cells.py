"""What the words of an experiment's cells resolve to, with every part built once: mistakes are said first."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from qstar_pl.cli.errors import explain
from qstar_pl.errors import UserError

if TYPE_CHECKING:
    from qstar_pl.experiments.matrix import Cell, Experiment, Settings


def resolved(experiment: Experiment) -> Mapping[str, Settings]:
    """Return the settings of every cell, by its name.

    Method and data are built, which loads no model and reads no row; the trainer is not, since it may be a cluster's.

    Raises:
        UserError: if a cell is no valid run; with the file and line of the option, if it is named.

    """
    return {cell.name: _settings(cell) for cell in experiment.cells}


def _settings(cell: Cell) -> Settings:
    from lightning.pytorch import Trainer

    from qstar_pl.cli.trainer import TrainerCLI
    from qstar_pl.experiments.matrix import Settings
    from qstar_pl.quiet import quieten_commands

    class CellCLI(TrainerCLI):
        """Parses what `fit` would, and builds the method and the data."""

        def instantiate_trainer(self, **kwargs: Any) -> Trainer:
            """Return a stand-in, with which nothing is run."""
            return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)

    quieten_commands()
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli = CellCLI(["fit", *cell.words], execute=False)
            cli._dump_config()
    except SystemExit as ended:
        raise mistake_in(cell, err.getvalue()) from ended
    except Exception as error:
        said = explain(error)
        if said is None:  # no mistake of the user's
            raise
        raise mistake_in(cell, said) from error
    adapter = cli.datamodule.adapter
    keys = cli.model.metrics.keys(fitting=True, parts=() if adapter is None else adapter.part_names())
    return Settings.of(cli.config_dump, None if keys is None else frozenset(f"val/{key}" for key in keys))


def mistake_in(cell: Cell, said: str) -> UserError:
    """Return what a cell's words are refused with, with the file and line of the option if it is named."""
    lines = [line.removeprefix("error: ") for line in said.splitlines() if line.strip()]
    message = lines[-1] if lines else "it is no valid configuration"
    named = [where for option, where in (cell.lines or {}).items() if re.search(rf"{re.escape(option)}\b", message)]
    where = (named or [cell.where])[-1]
    return UserError(f"{f'{where}: ' if where else ''}cell {cell.name}: {message}")
