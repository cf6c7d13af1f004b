"""The parts of a run, built from a command line, for experiments that drive the trainer themselves."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.cli.trainer import TrainerCLI
from qstar_pl.experiments.run import Run
from qstar_pl.quiet import quieten_commands


def build(words: Sequence[str]) -> Run:
    """Return the trainer, method and data that `qstar fit <words>` would run, without running them.

    Raises:
        SystemExit: with code 2, after one line on stderr, if the words make no valid configuration.

    """
    quieten_commands()
    cli = TrainerCLI(["fit", *words], execute=False)
    return Run(trainer=cli.trainer, module=cli.model, data=cli.datamodule)
