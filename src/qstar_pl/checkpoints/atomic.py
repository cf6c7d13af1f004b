"""Writing a file or a folder so that it is there as a whole or as it was before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from qstar_pl.checkpoints.damage import check_whole
from qstar_pl.checkpoints.digest import seal
from qstar_pl.errors import UserError
from qstar_pl.files import naming


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; what is there at the end takes the place of `path` in one step.

    The name beside it is always the same, so what a killed process left there is overwritten by the next one. If the
    block raises, `path` stays as it was.
    """
    beside = path.with_name(f".{path.name}.unfinished")
    _remove(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        with naming(path):
            yield beside
        for file in [beside, *beside.rglob("*")] if beside.is_dir() else [beside]:
            _flush(file)
        if path.is_dir():
            # A folder cannot take another one's place: the old one is put aside for the moment of the renaming.
            aside = path.with_name(f".{path.name}.replaced")
            _remove(aside)
            path.rename(aside)
            beside.rename(path)
            _remove(aside)
        else:
            beside.replace(path)
        _flush(path.parent)
    except BaseException:
        _remove(beside)
        raise


def _write(checkpoint: dict[str, Any], file: Path, path: Path) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        # All that torch says of a full disk, a quota or a limit on file sizes is at which byte it noticed.
        raise UserError(
            f"the disk must have room for checkpoints, got {path.parent}, which is full, or a quota or a limit on the "
            f"sizes of files, which {path.name} has reached; no checkpoint that was written before is lost"
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints as files on a local disk, written beside their name first and checked when read.

    Lightning's own writer goes by the system's folder for temporary files; where that is another file system, the last
    step is a copy, and a kill in it leaves half a checkpoint under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """See `CheckpointIO.save_checkpoint`; a path with :// is left to Lightning."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with replacing(Path(path)) as beside:
            _write(checkpoint, beside, Path(path))
            seal(beside)

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """See `CheckpointIO.load_checkpoint`; code in a checkpoint, also one from afar, runs for `weights_only=False`.

        Raises:
            UserError: if the file is damaged.

        """
        if "://" not in str(path):
            check_whole(Path(path))
        return super().load_checkpoint(path, map_location, weights_only is None or weights_only)
