"""What the user gave, read before the parser runs, since it decides which lower layers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from qstar_pl.checkpoints.stored_config import option_names
from qstar_pl.cli.config_files import read_yaml
from qstar_pl.cli.layers.defaults import DEFAULT_METHOD
from qstar_pl.cli.layers.names import snake_case
from qstar_pl.cli.words import options

_GROUPS = (".yaml", ".yml", ".json")
"""Suffixes of a file that can stand for the value of an option."""


@dataclass
class Given:
    """The words of a command line, and the YAML files that they name, as far as the layers below depend on them."""

    ckpt_path: str | None = None
    name: str | None = None
    model: Any = None
    """A class, or a mapping with its class_path."""
    schedule: str | None = None
    """The class of the learning rate's schedule, if it stands on the command line."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Trainer options; those of nested classes under the outer name, with any value: only the names matter there."""

    options: set[str] = field(default_factory=set)
    """Every option that was given in any way, by its name on the command line without dashes."""
    names: set[str] = field(default_factory=set)
    """Every name that some file gives the run, also if a higher layer gives another one."""

    @property
    def method(self) -> str | None:
        """The class name of the method, if one was named."""
        return class_name(self.model)

    @property
    def run_name(self) -> str:
        """The name of the run, unless a checkpoint brings another one."""
        return self.name or snake_case(self.method or DEFAULT_METHOD)

    def take(self, settings: Mapping[str, Any], folder: Path) -> None:
        """Add a YAML file's content; group files in it are relative to its folder."""
        self.options |= set(option_names(settings))
        for key in ("ckpt_path", "name"):
            if key in settings:
                setattr(self, key, settings[key])
        self.names |= {settings["name"]} if isinstance(settings.get("name"), str) else set()
        if "model" in settings:
            group = _group(settings["model"], folder)
            # Arguments alone leave the class that an earlier file has named.
            self.model = group if class_name(group) or not class_name(self.model) else self.model
        trainer = _group(settings.get("trainer"), folder)
        if isinstance(trainer, Mapping):
            self.trainer |= {str(key).removesuffix("+"): value for key, value in trainer.items()}


def given_by(command: str, words: Sequence[str]) -> Given:
    """Return what the words of a command line say; later ones override earlier ones.

    Raises:
        UserError: if a YAML file among them is not valid.

    """
    given = Given()
    before = True  # in front of the command, where files hold a section per command
    for one in options(words):
        if one.name == "":
            before = before and one.words != (command,)
            continue
        value = one.value or ""
        if one.name in ("-c", "--config"):
            settings, folder = _settings(value)
            given.take(settings.get(command) or {} if before else settings, folder)
            continue
        given.options.add(_option_name(one.name))
        if one.name == "--ckpt_path":
            given.ckpt_path = None if value == "null" else value  # YAML's null, as the parser reads it
        elif one.name == "--name":
            given.name = None if value == "null" else one.value
        elif one.name in ("--model", "--model.class_path"):
            given.model = _group(value, Path())
        elif _option_name(one.name) == "model.lr_scheduler":
            given.schedule = class_name(value)
        elif one.name == "--trainer":
            given.take({"trainer": _settings(value)[0]}, Path())
        elif one.name.startswith("--trainer."):
            given.trainer[one.name.removeprefix("--trainer.").partition(".")[0].removesuffix("+")] = value
    return given


def _option_name(word: str) -> str:
    """Return the name of an option as `option_names` writes it."""
    parts = word.removeprefix("--").split(".")
    return ".".join(part for part in parts if part not in ("class_path", "init_args")).removesuffix("+")


def class_name(spec: Any) -> str | None:
    """Return the short class name of a class path, or of a mapping that holds one."""
    path = spec.get("class_path") if isinstance(spec, Mapping) else spec
    return path.rpartition(".")[2] if isinstance(path, str) else None


def _settings(value: str) -> tuple[dict[str, Any], Path]:
    """Return the mapping that a value spells out, or that the file of this name holds, and the file's folder."""
    if value.lstrip().startswith("{"):
        try:
            loaded = yaml.safe_load(value)
        except yaml.YAMLError:
            return {}, Path()  # the parser says what is wrong
        return (loaded if isinstance(loaded, dict) else {}), Path()
    return read_yaml(Path(value)), Path(value).parent


def _group(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and value.endswith(_GROUPS):
        return read_yaml(folder / value)
    return value
