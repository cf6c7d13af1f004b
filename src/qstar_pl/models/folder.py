"""A model's folder before transformers opens it: files of the right form, and nothing that leads elsewhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError

INDEX = "model.safetensors.index.json"
_OBJECTS = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "adapter_config.json")
"""Files that hold a JSON object, where they are there."""
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""Keys whose value is an id, several, or none."""
_COUNTED = re.compile(r"layer|block|head|expert|depth|stack")
"""In the names of numbers of parts: each part is built, whatever the weights say."""
MOST_PARTS = 65_536
_LARGEST = 2**40
"""No dimension of a real model comes near it."""


def check_model_folder(folder: Path, argument: str = "name", *, trusted: bool = False) -> None:
    """Check that transformers may open a folder; what it then finds missing, it reports itself.

    Args:
        folder: with config.json and *.safetensors; others are left to transformers.
        argument: the name of the user's option, for error messages.
        trusted: whether code that the folder brings is run; if not, a notice says that it is there.

    Raises:
        UserError: if a file is no JSON object, a size absurd, weights lie elsewhere, or code from a hub is asked for.

    """
    if not folder.is_dir():
        return
    read = {name: _object(folder / name, argument) for name in (*_OBJECTS, INDEX) if (folder / name).is_file()}
    if not trusted and any("auto_map" in read.get(name, {}) for name in ("config.json", "tokenizer_config.json")):
        _say_ignored(folder.resolve(), folder)
    for name in ("config.json", "generation_config.json"):
        for key in _TOKENS:
            if not _is_token(value := read.get(name, {}).get(key)):
                raise UserError(f"{argument} must lead to a model, got {folder}, whose {name} has {key}={value!r}")
    for key, value in _leaves(read.get("config.json", {})):
        fault = _fault(key, value)
        if fault is not None:
            raise UserError(f"{argument} must lead to a model, got {folder}, whose config.json has {key}={fault}")
    _check_index(folder, read.get(INDEX), argument)


@lru_cache  # said once per folder
def _say_ignored(place: Path, folder: Path) -> None:
    print(
        f"notice: {folder} brings code of its own, which is not run; trust_remote_code=true would run it",
        file=sys.stderr,
        flush=True,
    )


def _object(file: Path, argument: str) -> Mapping[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{argument} must lead to a model, got {file}, which is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{argument} must lead to a model, got {file}, which holds a {type(value).__name__}")
    return value


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, str(name))
    else:
        yield key, value


def _fault(key: str, value: Any) -> str | None:
    """Return what is wrong with a value of a configuration; None: nothing that is known before the model is built."""
    if isinstance(value, str) and "attn_implementation" in key.lower() and "/" in value:
        return f"{value!r}: a kernel from a hub is code, which attn_implementation alone may ask for"
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= _LARGEST:
            return f"{value}, which is no size"
        if _COUNTED.search(key.lower()) and value > MOST_PARTS:
            return f"{value}, more than {MOST_PARTS} parts"
    return None


def _is_token(value: Any) -> bool:
    several = isinstance(value, list)
    # `type`, not isinstance: true is an int to Python.
    return value is None or all(type(one) is int for one in (value if several else [value]))


def _check_index(folder: Path, index: Mapping[str, Any] | None, argument: str) -> None:
    if index is None:
        return
    files = index.get("weight_map")
    if not isinstance(files, dict) or not files:
        raise UserError(f"{argument} must lead to a model, got {folder / INDEX}, which has no weight_map")
    for name in dict.fromkeys(map(str, files.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UserError(
                f"{argument} must lead to a model, got {folder / INDEX}, which names {name!r}: no .safetensors file of "
                "the folder"
            )
        if not (folder / name).is_file():
            raise UserError(f"{argument} must lead to a model, got {folder / INDEX}, whose {name} is missing")
