"""What a checkpoint, and the folder that it lies in, say of how its model was trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is, by __getattr__

from qstar_pl.checkpoints.reading import read_settings
from qstar_pl.errors import UserError
from qstar_pl.models import FromCheckpoint, FromConfig, LoRA, Pretrained
from qstar_pl.models.from_checkpoint import CONFIG_KEY
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import belongs_to_package
from qstar_pl.run_folders.metrics import read_metrics

COMMANDS_KEY = "qstar_commands"
"""Checkpoint key of the commands of a run, one after the other, as `qstar_pl.secrets` shows them."""


@dataclass(frozen=True)
class Facts:
    """All that a model card says; None, or empty, where the checkpoint does not."""

    method: str
    options: Mapping[str, Any]
    """Of the method."""
    base: str | None
    """Where the weights came from at first, as it was typed."""
    on_hub: bool
    """Whether that is a repository of the hub."""
    lineage: tuple[str, ...]
    """Stages between there and this run, the last one first."""
    data: Mapping[str, Any]
    training_rows: int | None
    fingerprints: Mapping[str, str]
    """Of the data's local files, by their typed paths: sha256."""
    step: int
    seed: int | None
    metrics: Mapping[str, float]
    """Of the last validation up to the checkpoint's step."""
    measured_step: int | None
    commands: tuple[str, ...]

    @classmethod
    def of(cls, checkpoint: Path, source: FromCheckpoint) -> Facts:
        """Read a checkpoint.

        Args:
            checkpoint: a .ckpt file.
            source: the same, as a source of models.

        """
        contents = read_settings(checkpoint)
        config = _mapping(contents.get(CONFIG_KEY))
        model, data = _mapping(config.get("model")), _mapping(_mapping(config.get("data")).get("init_args"))
        base, lineage = _origin(source)
        step = int(contents.get("global_step", 0))
        metrics, measured = _measured(checkpoint, step)
        seed = config.get("seed_everything")
        return cls(
            method=str(model.get("class_path", "unknown")).rpartition(".")[2],
            options=_mapping(model.get("init_args")),
            base=base,
            on_hub=base is not None and _is_on_hub(base),
            lineage=lineage,
            data=data,
            training_rows=_training_rows(contents),
            fingerprints=_fingerprints(data),
            step=step,
            seed=seed if isinstance(seed, int) else None,
            metrics=metrics,
            measured_step=measured,
            commands=tuple(map(str, contents.get(COMMANDS_KEY) or ())),
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _origin(source: FromCheckpoint) -> tuple[str | None, tuple[str, ...]]:
    lineage: list[str] = []
    inner: ModelSource = source
    try:
        while True:
            if isinstance(inner, FromCheckpoint):
                if inner is not source:
                    lineage.append(f"{_method_of(inner)}, {inner.path}")
                inner = inner.source()
            elif isinstance(inner, LoRA):
                lineage.append(f"LoRA(rank={inner.rank}, alpha={inner.alpha:g})")
                inner = inner.base
            elif isinstance(inner, Pretrained):
                return inner.name, tuple(lineage)
            elif isinstance(inner, FromConfig):
                return f"random weights of {inner.model_type}", tuple(lineage)
            else:
                return type(inner).__name__, tuple(lineage)
    except UserError:  # an earlier stage that is no longer there
        return None, tuple(lineage)


def _method_of(source: FromCheckpoint) -> str:
    config = _mapping(read_settings(Path(source.path)).get(CONFIG_KEY))
    return str(_mapping(config.get("model")).get("class_path", "an earlier stage")).rpartition(".")[2]


def _is_on_hub(name: str) -> bool:
    if belongs_to_package(name) or Path(name).expanduser().exists() or " " in name:
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _training_rows(contents: Mapping[str, Any]) -> int | None:
    loop = _mapping(_mapping(_mapping(contents.get("loops")).get("fit_loop")).get("state_dict"))
    loaders = loop.get("combined_loader")
    rows = _mapping(loaders[0]).get("of_rows") if isinstance(loaders, list) and loaders else None
    return rows if isinstance(rows, int) else None


def _fingerprints(data: Mapping[str, Any]) -> dict[str, str]:
    paths = data.get("path")
    files = [str(path) for path in (paths if isinstance(paths, list) else [paths]) if path is not None]
    found: dict[str, str] = {}
    for path in files:
        if (file := Path(path).expanduser()).is_file():
            with file.open("rb") as stream:
                found[path] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _measured(checkpoint: Path, step: int) -> tuple[Mapping[str, float], int | None]:
    near = checkpoint.absolute().parent  # of a relative path, "." would be its own parent
    for folder in (near.parent, near):
        try:
            rows = read_metrics(folder / "metrics.csv").rows
        except UserError:
            continue
        measured = [row for row in rows if row.get("step", 0) <= step and any(key.startswith("val/") for key in row)]
        if measured:
            last = measured[-1]
            return {key: value for key, value in last.items() if key.startswith("val/")}, int(last.get("step", 0))
    return {}, None
