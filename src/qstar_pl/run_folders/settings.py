"""What a run was asked to do, from its config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from qstar_pl.errors import UserError
from qstar_pl.run_folders.places import CONFIG

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is installed: some ten times faster."""
_SECTIONS = {"model:": 2, "data:": 4, "trainer:": 2}
"""Section → how deeply indented its lines are that `Settings` reads."""


@dataclass(frozen=True)
class Settings:
    """A run's configuration in short; None where it does not say."""

    name: str | None = None
    method: str | None = None
    data: str | None = None
    """The last part of the dataset's path, or the class of a dataset without one."""
    seed: int | None = None
    max_steps: int | None = None
    """None as well if the length is not given in steps."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration; what is of another form than this project writes counts as not said."""
        model, data, trainer = (_mapping(config.get(part)) for part in ("model", "data", "trainer"))
        steps, seed, name = trainer.get("max_steps"), config.get("seed_everything"), config.get("name")
        return cls(
            name=name if isinstance(name, str) else None,
            method=_class_name(model),
            data=_dataset(data),
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
            max_steps=steps if isinstance(steps, int) and steps > 0 else None,
        )


def read_settings(folder: Path) -> Settings:
    """Return what a run's config.yaml says in short, without parsing all of it.

    Raises:
        UserError: if it cannot be read.

    """
    text = _text(folder)
    try:
        # A configuration has hundreds of lines, most of them deep inside; without those it is parsed ten times faster.
        return Settings.of(_parsed("\n".join(_shallow(text)), folder))
    except UserError:
        return Settings.of(_parsed(text, folder))


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's whole configuration.

    Raises:
        UserError: if it cannot be read.

    """
    return _parsed(_text(folder), folder)


def _text(folder: Path) -> str:
    try:
        return (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"{folder / CONFIG} must be readable: {reason}") from error


def _parsed(text: str, folder: Path) -> dict[str, Any]:
    try:
        loaded = yaml.load(text, LOADER)  # nosec B506 - a safe loader, of libyaml or of PyYAML
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder / CONFIG} must be YAML, got a damaged file: {reason}") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{folder / CONFIG} must hold a configuration, got {type(loaded).__name__}")
    return loaded


def _shallow(text: str) -> list[str]:
    kept, depth = list[str](), 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if indent == 0:
            depth = _SECTIONS.get(line.rstrip(), 0)
        if indent <= depth and line[indent : indent + 1] != "-":
            kept.append(line)
    return kept


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _class_name(part: Mapping[str, Any]) -> str | None:
    path = part.get("class_path")
    return path.rpartition(".")[2] if isinstance(path, str) else None


def _dataset(part: Mapping[str, Any]) -> str | None:
    path = _mapping(part.get("init_args")).get("path")
    return path.rstrip("/").rpartition("/")[2] if isinstance(path, str) else _class_name(part)
