"""`--ckpt_path last` and `auto`: the same command, given again, continues where the last one stopped, in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from qstar_pl.checkpoints.damage import find_damage
from qstar_pl.cli.layers.checkpoints import step_of
from qstar_pl.errors import UserError
from qstar_pl.run_folders.finished import Finished

LAST = "last"
AUTO = "auto"
"""As `last`, but if there is no checkpoint yet, a run begins: for jobs that a scheduler may start again."""
NUMBERED = ("CSVLogger", "TensorBoardLogger")
"""Loggers that number the folders of runs: version_0, version_1, …"""


def find_checkpoint(ckpt_path: str | None, command: str, root: str, name: str) -> Path | None:
    """Return the checkpoint that a value of --ckpt_path stands for; None if there is none to read from disk.

    Raises:
        UserError: if there should be one and is none, or if the value means nothing here.

    """
    if ckpt_path in (LAST, AUTO):
        found = find_last(root, name)
        if found is None and (ckpt_path == LAST or command != "fit"):
            hint = "; --ckpt_path auto begins anew then" if command == "fit" else ""
            raise UserError(
                f"ckpt_path must name a checkpoint, got {ckpt_path}, and {root}/{name} holds none yet{hint}"
            )
        return found
    if ckpt_path in ("best", ""):
        raise UserError(f"ckpt_path must be last, auto or the path of a checkpoint, got {ckpt_path or 'nothing'}")
    if ckpt_path in (None, "hpc") or "://" in ckpt_path or ckpt_path.startswith("registry"):
        return None  # left to Lightning: its own words, remote files and registries
    return Path(ckpt_path)


def find_last(root: str, name: str) -> Path | None:
    """Return the checkpoint from which the runs called `name` under `root` continue; None if there is none yet.

    The contents of checkpoints and runs decide, not file dates. Unfinished runs come before finished ones; then the run
    with the most steps; on a tie the one with the highest number. In it, the checkpoint with the most steps is taken,
    `last` before others. A damaged `last` counts, since whoever loads it reports that and names the one before; other
    damaged files, and files of weights only, do not count.
    """
    runs = [_Run.of(folder) for folder in Path(root, name).glob("*/checkpoints") if folder.is_dir()]
    found = [run for run in runs if run is not None]
    return max(found, key=lambda run: run.order).checkpoint if found else None


@dataclass(frozen=True)
class _Run:
    checkpoint: Path
    order: tuple[bool, int, int, str]
    """Unfinished, steps, number, name."""

    @classmethod
    def of(cls, folder: Path) -> _Run | None:
        files = [path for path in folder.glob("[!.]*.ckpt") if path.exists()]  # a broken link does not
        steps = {path: step for path in files if (step := _steps(path)) is not None}
        unreadable = [path for path in files if path not in steps and _is_last(path)]
        ordered = sorted(steps, key=lambda path: (steps[path], _is_last(path), path.name), reverse=True)
        # Lazily: looking for damage reads a file from end to end.
        whole = (path for path in ordered if _is_last(path) or find_damage(path) is None)
        best = next(iter(sorted(unreadable, reverse=True)), None) or next(whole, None)
        if best is None:
            return None
        most = max(steps.values(), default=0)
        # A finished run that was continued, and then killed, has checkpoints beyond the step at which it had finished.
        finished = Finished.in_folder(folder)
        number = folder.parent.name.removeprefix("version_")
        order = (  # the maximum wins; False < True
            finished is None or finished.step < most,
            most,
            int(number) if number.isdecimal() else -1,
            folder.parent.name,
        )
        return cls(best, order)


def _is_last(path: Path) -> bool:
    return path.name.startswith(LAST)


def _steps(path: Path) -> int | None:
    try:
        return step_of(path)
    except UserError:
        return None


def stay_in_folder(loggers: Any, checkpoint: Path, wandb_id: str | None = None) -> None:
    """Let numbering loggers continue in the folder that the checkpoint lies in, and W&B in its own run.

    Args:
        loggers: `trainer.logger` of a configuration.
        checkpoint: in the run folder's subfolder `checkpoints`.
        wandb_id: id of the W&B run that the checkpoint belongs to.

    """
    folder = checkpoint.parent.parent.name
    number = folder.removeprefix("version_")
    version = int(number) if folder.startswith("version_") and number.isdigit() else folder
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        arguments = logger.get("init_args") if isinstance(logger, Namespace) else None
        if arguments is None or arguments.get("version") is not None:  # the user says where
            continue
        kind = logger.class_path.rpartition(".")[2]
        if kind in NUMBERED:
            arguments["version"] = version
        elif kind == "WandbLogger" and arguments.get("id") is None:
            arguments["version"] = wandb_id  # Lightning asks W&B to resume a run whose id it is given
