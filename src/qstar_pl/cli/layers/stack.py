"""What a run is made of, lowest first: defaults, its checkpoint's configuration, what the user gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from qstar_pl.cli.layers.checkpoints import checkpoint_layer
from qstar_pl.cli.layers.defaults import RUNS, defaults
from qstar_pl.cli.layers.given import Given, class_name, given_by
from qstar_pl.cli.layers.logger_folders import with_folders
from qstar_pl.cli.layers.metrics import default_metrics
from qstar_pl.cli.layers.names import check_name
from qstar_pl.cli.layers.resume import find_checkpoint
from qstar_pl.cli.layers.schedules import as_long_as_the_run
from qstar_pl.cli.layers.typed_paths import TypedPaths
from qstar_pl.cli.shipped import with_configurations
from qstar_pl.cli.trainer_options import spelled_out


@dataclass(frozen=True)
class Layers:
    """The layers of one command line."""

    words: list[str]
    """The user's, with names of shipped configurations and ambiguous or old class names replaced by what they mean."""
    given: Given
    """What the words say, as far as lower layers depend on it."""
    checkpoint: Path | None
    """What the run continues from, or measures."""
    lower: list[dict[str, Any]]
    """Configurations below the user's, the lowest first."""
    paths: TypedPaths

    @classmethod
    def of(cls, command: str, typed: Sequence[str]) -> Layers:
        """Read a command line, the YAML that it names, and the checkpoint that it asks for.

        Args:
            command: "fit", "validate", "test" or "predict".
            typed: the words after `qstar`.

        Raises:
            UserError: for mistakes that show before the words are parsed.

        """
        paths = TypedPaths()
        words = paths.words(spelled_out(with_configurations(typed)))
        given = given_by(command, words)
        check_name(given.name)
        root = given.trainer.get("default_root_dir") or RUNS
        words = with_folders(words, root)
        checkpoint = find_checkpoint(given.ckpt_path, command, root, given.run_name)
        stored = checkpoint_layer(command, given, checkpoint)
        lowest = defaults(command, [*given.trainer, *stored.get("trainer", {})])
        # YAML may give a model's arguments alone; its class is then that of the layer below.
        named = (model for model in (given.model, stored.get("model")) if class_name(model))
        metrics = default_metrics(next(named, lowest["model"]))
        lowest["model"] |= metrics
        if (schedule := as_long_as_the_run(given.schedule)) is not None:
            lowest["model"]["init_args"] = {**lowest["model"].get("init_args", {}), "lr_scheduler": schedule}
        # A layer's arguments of a class replace those below it, and a checkpoint of an earlier version has no metrics.
        if metrics and (kept := stored.get("model", {})).get("class_path") == metrics["class_path"]:
            stored["model"] = {**kept, "init_args": metrics["init_args"] | (kept.get("init_args") or {})}
        return cls(words, given, checkpoint, [{command: layer} for layer in (lowest, stored) if layer], paths)

    def parsed_by(self, parser: ArgumentParser) -> Namespace:
        """Return the configuration that the layers make together."""
        # The help of a command does not depend on them, and takes twice as long with them.
        layers = [] if {"-h", "--help"} & set(self.words) else self.lower
        # As the content of --config in front of the subcommand, which is read before the user's own files.
        lower = [f"--config={_one_line_yaml(layer)}" for layer in layers]
        with self.paths.in_yaml():
            parsed: Namespace = parser.parse_args([*lower, *self.words])
        return parsed


def _one_line_yaml(value: Any) -> str:
    # In flow style, which begins with "{", the value of --config is a mapping, not the name of a file.
    return yaml.safe_dump(value, default_flow_style=True, width=float("inf")).strip()
