"""The folders of a run: numbered, locked, and without loss of what an earlier run left there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger

from qstar_pl.cli.errors import MISTAKE
from qstar_pl.cli.runs.interrupt import Quiet
from qstar_pl.cli.runs.loggers import numbered
from qstar_pl.cli.runs.metrics_file import METRICS
from qstar_pl.errors import UserError
from qstar_pl.locks import Lock, check_free
from qstar_pl.run_folders.places import LOCK


def written_folders(trainer: Trainer, stage: str = "fit") -> list[Path]:
    """Return where only this run may write: its numbered folders, and where checkpoints go if not there."""
    folders = [Path(logger.log_dir) for logger in numbered(trainer.loggers)]
    if stage == "fit":
        places = [getattr(one, "dirpath", None) for one in trainer.checkpoint_callbacks]
        given = [Path(place) for place in places if place is not None]
        inside = [place.resolve() for place in folders]
        folders += [place for place in given if not any(place.resolve().is_relative_to(outer) for outer in inside)]
        if not folders and trainer.checkpoint_callbacks:
            folders = [Path(trainer.default_root_dir) / "checkpoints"]
    # Remote folders cannot be locked; `Path` has folded the "://" of their URLs.
    return [folder for folder in dict.fromkeys(folders) if ":/" not in str(folder)]


def check_free_folders(trainer: Trainer, stage: str) -> None:
    """Check that no other run writes where this one would, before anything is loaded.

    Raises:
        UserError: if one does; processes other than the first end quietly.

    """
    try:
        for folder in written_folders(trainer, stage):
            check_free(folder / LOCK, _what(folder))
    except UserError as error:
        if trainer.is_global_zero:
            raise
        raise Quiet(MISTAKE, trainer) from error


def acquired(folder: Path) -> Lock:
    """Lock a folder, and say so if the lock was left by a run that died; raises UserError if another run has it."""
    lock = Lock.acquire(folder / LOCK, _what(folder))
    if lock.taken_from is not None:
        print(f"took over {folder} from {lock.taken_from}, which has ended in the middle", file=sys.stderr, flush=True)
    return lock


def _what(folder: Path) -> str:
    return f"run folder must be one that no other run writes into, got {folder}"


def claim_folder(loggers: Iterable[Any]) -> list[Path]:
    """Give loggers that number their runs the next number, and make that folder, so that no other run gets it.

    Returns:
        The folders that were created for it, the outermost first; see `give_back`.

    """
    unnumbered = [one for one in numbered(loggers) if one._version is None and ":/" not in str(one.root_dir)]
    made = list[Path]()
    # Loggers with the same root share a number, so that their files lie in one folder.
    for root in {str(logger.root_dir) for logger in unnumbered}:
        together = [logger for logger in unnumbered if str(logger.root_dir) == root]
        number = max(logger._get_next_version() for logger in together)
        made += [one for one in reversed((Path(root), *Path(root).parents)) if not one.exists()]
        # `mkdir` fails if the folder exists: of runs that start together, each gets another number.
        while True:
            try:
                (folder := Path(root, f"version_{number}")).mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
        made.append(folder)
        for logger in together:
            logger._version = number
    return made


def give_back(claimed: Sequence[Path]) -> None:
    """Remove folders that `claim_folder` has made, if they are empty: a failed start leaves no trace."""
    for folder in reversed(claimed):
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def keep_earlier(path: Path) -> Path | None:
    """Rename an existing file `name.ext` to the first free `name.N.ext`; return the new path."""
    if not path.exists():
        return None
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(kept)


def keep_earlier_metrics(trainer: Trainer, continued: Path | None = None) -> None:
    """Keep the metrics.csv of an earlier run in the same folder, under another name.

    Args:
        trainer: whose loggers have written nothing yet.
        continued: the checkpoint of a run that continues in its own folder, and so in its own metrics.csv.

    """
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        if isinstance(logger, CSVLogger) and (continued is None or not is_its_folder(logger, continued)):
            keep_earlier(Path(logger.log_dir) / METRICS)


def is_its_folder(logger: CSVLogger, checkpoint: Path) -> bool:
    """Return whether a checkpoint lies in the folder that a logger writes to."""
    return Path(logger.log_dir).resolve() == checkpoint.resolve().parent.parent
