"""Checkpoints that a killed run left behind, which the run that goes on would never remove."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

from qstar_pl.checkpoints.reading import read_settings
from qstar_pl.errors import UserError
from qstar_pl.files import put_back


def prune(writers: Iterable[ModelCheckpoint], resumed: Path, step: int) -> list[Path]:
    """Remove what a kill has left; called once the writers have their state back, and before they write.

    A kill between a new checkpoint and the removal of the one that it replaces leaves both; a kill after that, but
    before `last` is written, leaves one of a step that will be taken again. Only files that themselves say that one of
    these writers wrote them under this name are removed: copies, and what others keep in the folder, stay.

    Args:
        writers: of the run that goes on.
        resumed: the checkpoint that it goes on from.
        step: optimizer steps taken in it.

    Returns:
        What was removed.

    """
    removed = []
    for writer in writers:
        if writer.dirpath is None or "://" in str(writer.dirpath):
            continue
        folder = Path(writer.dirpath)
        kept = {Path(path).name for path in (*writer.best_k_models, writer.best_model_path, writer.last_model_path)}
        for path in sorted(folder.glob(f"*{writer.FILE_EXTENSION}")):
            if path.name.startswith(".") or path.name in kept or path.resolve() == resumed.resolve():
                continue
            contents = _contents(path)
            written = _names(contents, writer)
            later = contents.get("global_step", 0) > step  # will be taken, and written, again
            # With save_top_k=-1 the writer keeps every checkpoint, so that an earlier one is no remnant.
            if path.name in written and (later or writer.save_top_k != -1):
                _remove(path)
                removed.append(path)
        # The names that `replacing` works under.
        for path in folder.glob(".*.replaced"):
            put_back(path.with_name(path.name.removeprefix(".").removesuffix(".replaced")))
        for path in [*folder.glob(".*.unfinished"), *folder.glob(".*.replaced")]:
            _remove(path)
    return removed


def _names(contents: Mapping[str, Any], writer: ModelCheckpoint) -> set[str]:
    """Return the names of the checkpoints that the writer had written by the time of this one."""
    state = (contents.get("callbacks") or {}).get(writer.state_key) or {}
    paths = [*(state.get("best_k_models") or ()), state.get("best_model_path"), state.get("last_model_path")]
    return {Path(path).name for path in paths if path}


def _contents(path: Path) -> Mapping[str, Any]:
    try:
        return read_settings(path, check=False)
    except UserError:  # whatever it is, it is not known to be ours
        return {}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
