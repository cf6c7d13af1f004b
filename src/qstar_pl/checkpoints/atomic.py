"""Lightning's checkpoints, written in one step: the new one is whole, or the old one is still there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from qstar_pl.checkpoints.damage import check_whole
from qstar_pl.checkpoints.digest import seal
from qstar_pl.errors import UserError
from qstar_pl.files import replacing


def _write(checkpoint: dict[str, Any], file: Path, path: Path) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # The C++ names in the message are all that tells a failed write from other RuntimeErrors.
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        # All that torch says of a full disk, a quota or a limit on file sizes is at which byte it failed.
        raise UserError(
            f"the disk must have room for checkpoints, got {path.parent}, which is full, or a quota or a limit on the "
            f"sizes of files, which {path.name} has reached; no checkpoint that was written before is lost"
        ) from error


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints as files on a local disk, written beside their name first and checked when read.

    Lightning's own writer goes through the system's folder for temporary files. If that is another file system, its
    last step is a copy, and a kill during it leaves half a checkpoint under the final name.
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
