"""Shapes of models that a plan knows by their name: no hub is asked for them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError

FILE = Path(__file__).with_name("shapes.json")
"""What is in it, and where from, it says itself."""
Shape = dict[str, Any]
"""Fields of a configuration of transformers, `model_type` among them."""


@cache
def known_shapes() -> dict[str, Shape]:
    """Return hub id → shape of all models that are known."""
    models = json.loads(FILE.read_text(encoding="utf-8"))["models"]
    return {name: dict(model["shape"]) for model in models for name in model["names"]}


def read_shape(path: Path, argument: str) -> Shape:
    """Return the shape that a config.json states.

    Args:
        path: of the file, or of its folder.
        argument: the name of the user's option, for error messages.

    Raises:
        UserError: if there is no such file, or it names no architecture.

    """
    file = path / "config.json" if path.is_dir() else path
    try:
        shape = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{argument} must lead to the config.json of a model, got {path}: {error}") from error
    if not isinstance(shape, dict) or not isinstance(shape.get("model_type"), str):
        raise UserError(f"{argument} must lead to the config.json of a model, got {file}, which has no model_type")
    return shape


def given_shapes(words: list[str]) -> dict[str, Shape]:
    """Return name → shape of what --shape says.

    Args:
        words: NAME=SHAPE each: a name in the configuration, and a known model or a config.json or its folder.

    Raises:
        UserError: if a word is not of this form, or the shape is not found.

    """
    shapes = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UserError(f"shape must be NAME=FOLDER, NAME=config.json or NAME=KNOWN_MODEL, got {word}")
        known = known_shapes().get(value)
        shapes[name] = known if known is not None else read_shape(Path(value), "shape")
    return shapes
