"""What the words of an experiment's cells resolve to, as `qstar fit --print_config` says."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from qstar_pl.errors import UserError

if TYPE_CHECKING:
    from qstar_pl.experiments.matrix import Cell, Experiment, Settings


def resolved(experiment: Experiment) -> Mapping[str, Settings]:
    """Return the settings of every cell, by its name.

    Raises:
        UserError: if the words of one make no configuration; with the file and line of the option, if it is named.

    """
    return {cell.name: _settings(cell) for cell in experiment.cells}


def _settings(cell: Cell) -> Settings:
    import yaml

    from qstar_pl.cli.trainer import TrainerCLI
    from qstar_pl.experiments.matrix import Settings
    from qstar_pl.quiet import quieten_commands
    from qstar_pl.run_folders.settings import LOADER

    quieten_commands()
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            TrainerCLI(["fit", *cell.words, "--print_config"], execute=False)
    except SystemExit as ended:
        if ended.code not in (0, None):
            raise _mistake(cell, err.getvalue()) from ended
    except UserError as error:
        raise _mistake(cell, str(error)) from error
    return Settings.of(yaml.load(out.getvalue(), LOADER))  # nosec B506 - a safe loader


def _mistake(cell: Cell, said: str) -> UserError:
    lines = [line.removeprefix("error: ") for line in said.splitlines() if line.strip()]
    message = lines[-1] if lines else "it is no valid configuration"
    named = [where for option, where in (cell.lines or {}).items() if re.search(rf"{re.escape(option)}\b", message)]
    where = (named or [cell.where])[-1]
    return UserError(f"{f'{where}: ' if where else ''}cell {cell.name}: {message}")
