"""Where loggers that are named without a folder write: into that of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from qstar_pl.cli.layers.resume import NUMBERED
from qstar_pl.cli.words import options

_LOGGER = ("--trainer.logger", "--trainer.logger+")
_FOLDER = ("--trainer.logger.save_dir", "--trainer.logger.init_args.save_dir")


def with_folders(words: Sequence[str], root: str) -> list[str]:
    """Return a command line in which every CSVLogger and TensorBoardLogger has a `save_dir`: `root`, if it had none."""
    listed, made = list(options(words)), list[str]()
    for position, one in enumerate(listed):
        made += one.words
        if one.name in _LOGGER and (one.value or "").rpartition(".")[2] in NUMBERED:
            own = takewhile(lambda option: option.name not in _LOGGER, listed[position + 1 :])
            if not any(option.name in _FOLDER for option in own):
                made.append(f"{_FOLDER[0]}={root}")
    return made
