"""What a checkpoint says about the run that wrote it: the lowest layer of CLI > YAML > checkpoint.

Lightning parses a checkpoint's hyperparameters *over* the command line, only for checkpoints that are files, and only
for the model. Here the configuration that the run was started with, name and trainer included, is stored in the
checkpoint and comes back below everything that the user gives, from files and from (sharded) folders alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from qstar_pl.checkpoints.reading import read_settings
from qstar_pl.checkpoints.stored_config import withheld_line, without_risks
from qstar_pl.cli.config_files import read_yaml
from qstar_pl.cli.layers.defaults import CADENCE, LENGTHS
from qstar_pl.cli.layers.given import Given, class_name
from qstar_pl.cli.layers.names import snake_case
from qstar_pl.errors import UserError

KEY = "qstar_config"
"""Key of the resolved configuration in a checkpoint."""
ROWS = "qstar_metric_rows"
"""Key of the number of metric rows written by then, per logger's folder."""
WANDB_ID = "qstar_wandb_id"
"""Key of the id of the W&B run that the checkpoint belongs to, if any."""
CONTENT = ("seed_everything", "date", "name", "model", "data")
"""What a checkpoint determines besides its trainer: what the run is."""
PLACE = ("accelerator", "devices", "num_nodes", "strategy")
"""Trainer options that say what hardware the run had; they come back if this machine has it."""
OF_THE_FIT = ("limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches", *LENGTHS)
"""Trainer options that come back only for training: `validate` and `test` measure their whole split."""
OF_LIGHTNING = ("state_dict", "pytorch-lightning_version")
"""Without these, Lightning cannot restore a checkpoint."""
MOST = 8
"""How many keys a message lists at most."""
LOGGED_AS = ("version", "id")
"""Logger arguments that identify the run that wrote the checkpoint, and no other."""


def checkpoint_layer(command: str, given: Given, checkpoint: Path | None) -> dict[str, Any]:
    """Return the part of a checkpoint's configuration that lies below what the user said.

    Args:
        command: "fit", "validate", "test" or "predict".
        given: what the user said.
        checkpoint: a file, or the folder of a sharded one; None if there is none.

    Raises:
        UserError: if the checkpoint does not exist or cannot be read, or if its configuration holds what is not taken
            from a checkpoint (see `without_risks`) and the user does not give it either.

    """
    if checkpoint is None:
        return {}
    stored = stored_config(checkpoint)
    layer = {key: stored[key] for key in CONTENT if key in stored}
    layer["trainer"] = _trainer_layer(command, stored.get("trainer") or {}, given.trainer)
    if "logger" in layer["trainer"]:
        name = stored.get("name") or snake_case(class_name(stored.get("model")) or "")
        layer["trainer"]["logger"] = _loggers(stored["trainer"], name, given.trainer.get("default_root_dir"))
    if given.method and given.method != class_name(layer.get("model")):
        # Another method: arguments that happen to share a name must not leak into it.
        layer.pop("model", None)
    layer, withheld = without_risks(layer, checkpoint)
    if missing := [one for one in withheld if not one.is_answered(given.options)]:
        raise UserError(withheld_line("ckpt_path", checkpoint, missing))
    return layer


def check_restorable(path: Path) -> None:
    """Check that a file holds what Lightning looks for in every checkpoint, before anything is loaded.

    Raises:
        UserError: if it does not; says what is missing and what is there.

    """
    contents = _settings(path)
    missing = [key for key in OF_LIGHTNING if key not in contents]
    if missing and not path.is_dir():  # the tensors of a sharded one lie in files of their own
        holds = ", ".join(sorted(map(str, contents))[:MOST]) or "nothing"
        raise UserError(
            f"ckpt_path must be a Lightning checkpoint, got {path}, which has no {' and no '.join(missing)}; "
            f"it holds {holds}"
        )


def check_same_method(method: str, checkpoint: Path) -> None:
    """Check that a run of this method can continue from the checkpoint (one that names no method passes).

    Raises:
        UserError: if it is of another method: its weights can be a start, but the run cannot be continued.

    """
    stored = class_name(stored_config(checkpoint).get("model"))
    if stored is None or stored == method:
        return
    of_rewards = {"RewardModeling": "model.model"}
    argument = of_rewards.get(method, "model.policy") if stored not in of_rewards else "model.reward.model"
    raise UserError(
        f"ckpt_path must be a checkpoint of {method} to go on with, got one of {stored}, {checkpoint}, which can be a "
        f"start: --{argument}=FromCheckpoint --{argument}.path={checkpoint}"
    )


def _trainer_layer(command: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in stored.items() if key != "fast_dev_run"}
    # A group is taken whole or not at all: a new max_steps beside the old max_epochs would mean neither run.
    left_out: list[tuple[str, ...]] = [group for group in (LENGTHS, CADENCE) if set(group) & set(given)]
    if command != "fit":
        left_out.append(OF_THE_FIT)
    if not _is_here(stored) or given.get("accelerator", stored.get("accelerator")) != stored.get("accelerator"):
        left_out.append(PLACE)
    return {key: value for key, value in kept.items() if not any(key in group for group in left_out)}


def _is_here(stored: Mapping[str, Any]) -> bool:
    """Return whether this machine has the devices that a trainer's configuration asks for."""
    accelerator, devices = stored.get("accelerator"), stored.get("devices")
    if accelerator in ("gpu", "cuda"):
        count = torch.cuda.device_count()
        return count > 0 and (not isinstance(devices, int) or devices <= count)
    return accelerator in (None, "auto", "cpu") or (accelerator == "mps" and torch.backends.mps.is_available())


def _loggers(stored: Mapping[str, Any], name: str, root: str | None) -> Any:
    """Return a trainer's loggers without what was derived from the run's name and root folder."""
    if isinstance(stored["logger"], list):
        return [_loggers({**stored, "logger": logger}, name, root) for logger in stored["logger"]]
    logger = stored["logger"]
    if not isinstance(logger, Mapping):
        return logger
    arguments = {key: None if key in LOGGED_AS else value for key, value in (logger.get("init_args") or {}).items()}
    # Derived from the run's name, which this run may change: left empty, so that it is derived again.
    if arguments.get("name") == name:
        arguments["name"] = None
        if root is not None and arguments.get("save_dir") == stored.get("default_root_dir"):
            arguments["save_dir"] = root
    return {**logger, "init_args": arguments}


def stored_config(path: Path) -> dict[str, Any]:
    """Return the configuration in a checkpoint, or else what Lightning's own command line stored in and beside it.

    Raises:
        UserError: if the checkpoint does not exist or cannot be read.

    """
    contents = _settings(path)
    if KEY in contents:
        return _checked(dict(contents[KEY]), path)
    stored = _beside(path)
    # `_instantiator` and `_class_path` are LightningCLI's own entries among the hyperparameters.
    hyperparameters = {k: v for k, v in contents.get("hyper_parameters", {}).items() if k != "_instantiator"}
    if class_path := hyperparameters.pop("_class_path", None):
        stored["model"] = {"class_path": class_path, "init_args": hyperparameters}
    return _checked(stored, path)


def _checked(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    for part, kind in (("trainer", Mapping), ("model", Mapping | str), ("data", Mapping | str), ("name", str)):
        if stored.get(part) is not None and not isinstance(stored[part], kind):
            raise UserError(
                f"ckpt_path must hold a configuration, got {path}, in which {part} is a {type(stored[part]).__name__}"
            )
    return stored


def rows_at(path: Path, folder: str) -> int | None:
    """Return how many rows the metrics.csv in a run's folder had when a checkpoint was written; None if unknown."""
    rows: Mapping[str, int] = _settings(path).get(ROWS, {})
    # A folder that was moved, or a relative path from another working folder, differs; one entry is unambiguous.
    return rows.get(folder, next(iter(rows.values())) if len(rows) == 1 else None)


def step_of(path: Path) -> int | None:
    """Return how many optimizer steps had been taken when a checkpoint was written.

    None for a file of weights only, and for one that is not a checkpoint.

    Raises:
        UserError: if it cannot be read.

    """
    contents = read_settings(path, check=False)
    step = contents.get("global_step")
    whole = path.is_dir() or "optimizer_states" in contents  # the state of a sharded one lies in files of its own
    return step if isinstance(step, int) and whole else None


def wandb_id_of(path: Path) -> str | None:
    """Return the id of the W&B run that a checkpoint belongs to, None if it had none."""
    found: str | None = _settings(path).get(WANDB_ID)
    return found


def logged_step(path: Path) -> int:
    """Return the step under which measurements of these weights are logged: how many the optimizer had taken."""
    return int(_settings(path).get("global_step", 0))


def _beside(path: Path) -> dict[str, Any]:
    # LightningCLI writes config.yaml into the run's folder, and checkpoints into its subfolder `checkpoints`.
    for folder in list(path.resolve().parents)[:2]:
        if (folder / "config.yaml").is_file():
            loaded = read_yaml(folder / "config.yaml")
            if "model" in loaded:
                return loaded
    return {}


def _settings(path: Path) -> Mapping[str, Any]:
    # One process per machine checks the whole file; if it is damaged, the others end with that one.
    return read_settings(path, check=os.environ.get("LOCAL_RANK", "0") == "0")
