"""What a checkpoint says about the run that wrote it: the lowest layer of CLI > YAML > checkpoint.

Lightning parses a checkpoint's hyper-parameters *over* the command line, only for checkpoints that are files, and only
for the model. Here the configuration that the run was started with is stored in the checkpoint and comes back below
everything that the user gives, for files and for (sharded) folders alike.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from qstar_pl.checkpoints.damage import SHARDED_METADATA, check_whole
from qstar_pl.commandline.defaults import DEFAULT_METHOD, RUNS, snake_case
from qstar_pl.commandline.resume import LAST, find_last
from qstar_pl.errors import UserError

KEY = "qstar_config"
"""Under this the resolved configuration stands in a checkpoint."""
ROWS = "qstar_metric_rows"
"""Under this stands how many rows of metrics had been written by then."""
WANDB_ID = "qstar_wandb_id"
"""Under this stands which run of W&B's the checkpoint belongs to, if any."""
CONTENT = ("seed_everything", "model", "data")
"""What a checkpoint determines: what the run is; not where, for how long, or what it logs."""
NUMERICS = ("precision", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm")
"""Trainer options that change what is computed; they come back with the checkpoint too."""
BY_NAME = ("last", "best", "hpc")
"""Values of --ckpt_path that Lightning resolves itself."""


def checkpoint_layer(command: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the part of the checkpoint's configuration that lies below the user's words; empty without `--ckpt_path`.

    Raises:
        UserError: if the checkpoint does not exist or cannot be read.

    """
    given = _given(command, words)
    path = given.get("ckpt_path")
    if path == LAST:
        found = find_last(given.get("root") or RUNS, given.get("name") or _run_name(given.get("model")))
        path = None if found is None else str(found)
    if not isinstance(path, str) or path in BY_NAME or "://" in path or path.startswith("registry"):
        return {}
    stored = stored_config(Path(path))
    layer = {key: stored[key] for key in CONTENT if key in stored}
    layer["trainer"] = {key: stored["trainer"][key] for key in NUMERICS if key in stored.get("trainer", {})}
    wanted = _class_name(given.get("model"))
    if wanted and wanted != _class_name(layer.get("model")):
        # Another method: arguments that happen to share a name must not leak into it.
        layer.pop("model", None)
    return layer


def stored_config(path: Path) -> dict[str, Any]:
    """Return the configuration in a checkpoint, else what Lightning's own command line stored in it and beside it.

    Raises:
        UserError: if the checkpoint does not exist or cannot be read.

    """
    if not path.exists():
        raise UserError(f"ckpt_path must name a checkpoint that exists, got {path}")
    contents = _unsharded(path)
    if KEY in contents:
        return dict(contents[KEY])
    stored = _beside(path)
    hyperparameters = {k: v for k, v in contents.get("hyper_parameters", {}).items() if k != "_instantiator"}
    if class_path := hyperparameters.pop("_class_path", None):
        stored["model"] = {"class_path": class_path, "init_args": hyperparameters}
    return stored


def rows_at(path: Path, folder: str) -> int | None:
    """Return how many rows the metrics.csv in a run's folder had when a checkpoint was written; None if unknown."""
    rows: Mapping[str, int] = _unsharded(path).get(ROWS, {})
    return rows.get(folder)


def wandb_id_of(path: Path) -> str | None:
    """Return the id of the W&B run that a checkpoint belongs to, None if it had none."""
    found: str | None = _unsharded(path).get(WANDB_ID)
    return found


def _beside(path: Path) -> dict[str, Any]:
    for folder in list(path.resolve().parents)[:2]:
        if (folder / "config.yaml").is_file():
            loaded = _yaml(folder / "config.yaml")
            if "model" in loaded:
                return loaded
    return {}


def _unsharded(path: Path) -> Mapping[str, Any]:
    source = path / SHARDED_METADATA if path.is_dir() else path
    return _load(source) if source.exists() else {}


def _load(source: Path) -> Mapping[str, Any]:
    try:
        # mmap: the weights, which may be many gigabytes, are not read here.
        contents = torch.load(source, weights_only=True, map_location="cpu", mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UserError(f"ckpt_path must be a checkpoint without code in it, got {source}: {reason}") from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        with source.open("rb") as file:
            if file.read(2) == b"PK":  # it began as one of torch's
                check_whole(source)
        raise UserError(
            f"ckpt_path must be a Lightning checkpoint, got {source}, which cannot be read as one"
        ) from error
    if not isinstance(contents, Mapping):
        raise UserError(
            f"ckpt_path must be a Lightning checkpoint, got {source}, which holds a {type(contents).__name__}"
        )
    return contents


def _given(command: str, words: Sequence[str]) -> dict[str, Any]:
    """Return `ckpt_path` and `model` as the user gave them, from the words and the YAML files they name.

    This looks before the parser does, since the checkpoint's layer decides what the parser accepts: an option of a
    stored strategy is unknown without it.
    """
    found: dict[str, Any] = {}
    before = True
    for position, word in enumerate(words):
        if before and word == command:
            before = False
            continue
        option, equals, value = word.partition("=")
        if not equals:
            value = words[position + 1] if position + 1 < len(words) else ""
        if option in ("-c", "--config"):
            settings = _yaml(Path(value))
            found |= _pick(settings.get(command, {}) if before else settings, Path(value).parent)
        elif option == "--ckpt_path":
            found["ckpt_path"] = None if value == "null" else value
        elif option in ("--model", "--model.class_path"):
            found["model"] = value
        elif option == "--name":
            found["name"] = value
        elif option == "--trainer.default_root_dir":
            found["root"] = value
    model = found.get("model")
    if isinstance(model, str) and model.endswith((".yaml", ".yml", ".json")):
        found["model"] = _yaml(Path(model))
    return found


def _pick(settings: Any, folder: Path) -> dict[str, Any]:
    picked = {key: settings[key] for key in ("ckpt_path", "model", "name") if key in settings} if settings else {}
    if settings and isinstance(settings.get("trainer"), dict) and "default_root_dir" in settings["trainer"]:
        picked["root"] = settings["trainer"]["default_root_dir"]
    if isinstance(picked.get("model"), str) and (folder / picked["model"]).is_file():
        picked["model"] = _yaml(folder / picked["model"])  # a group file, relative to the YAML that names it
    return picked


def _yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text())
    except OSError:
        return {}  # the parser meets the same path and says what is wrong with it
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be a YAML file, got something that is not text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise UserError(f"{where} is not valid YAML: {getattr(error, 'problem', error)}") from error
    return loaded if isinstance(loaded, dict) else {}


def _run_name(model: Any) -> str:
    return snake_case(_class_name(model) or DEFAULT_METHOD)


def _class_name(model: Any) -> str | None:
    path = model.get("class_path") if isinstance(model, Mapping) else model
    return path.rpartition(".")[2] if isinstance(path, str) else None
