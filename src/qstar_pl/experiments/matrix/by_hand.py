"""An experiment of configurations that are named on the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix.experiment import Cell, Evaluation, Experiment, Report
from qstar_pl.experiments.matrix.reading import FIRST, METHOD

NAME = "by_hand"


def by_hand(configs: Sequence[Path], words: Sequence[str], seeds: tuple[int, ...]) -> Experiment:
    """Return an experiment without a budget: a cell for each configuration.

    Args:
        configs: files.
        words: for all of them.
        seeds: of the runs.

    Raises:
        UserError: if two have the same name.

    """
    if again := [name for name, count in Counter(config.stem for config in configs).items() if count > 1]:
        raise UserError(f"config must be files of different names, by which runs are called, got {again[0]} twice")
    cells = [Cell(one.stem, {METHOD: one.stem}, (f"--config={one}", *words, FIRST), str(one)) for one in configs]
    return Experiment(
        name=NAME,
        variant="_".join(one.stem for one in configs)[:60],
        file=configs[0],
        title=", ".join(one.stem for one in configs),
        question="",
        description="",
        cells=cells,
        seeds=seeds,
        budget=None,
        evaluation=Evaluation(),
        report=Report(),
    )
